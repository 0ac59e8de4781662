/*
 * Kills the API server of a test's control plane and starts it again with the same arguments, so that it has lost every watch;
 * compacts its etcd.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { killAll, startDaemon } from '../cluster/process.ts';

const NAME = 'kube-apiserver';
const MAX_STARTS = 5;

function argvOf(controlPlane: ControlPlane, name: string): { readonly pid: number; readonly argv: readonly string[] } {
  const pid = Number(readFileSync(join(controlPlane.stateDir, 'pids', name), 'utf8').split(' ')[0]);
  return { pid, argv: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1) };
}

/** Kills the API server and starts it again with the same arguments; resolves when `ready` no longer fails. */
export async function restartApiServer(controlPlane: ControlPlane, ready: () => Promise<unknown>): Promise<void> {
  const { pid, argv } = argvOf(controlPlane, NAME);
  killAll([pid]);
  const [file = '', ...args] = argv;
  const start = (): ReturnType<typeof startDaemon> => startDaemon({ name: NAME, file, args }, controlPlane.stateDir, false);
  let started = start();
  let starts = 1;
  for (let tries = 0; tries < 600; tries += 1) {
    if (started.exited()) {
      // A client that reconnects may hold the freed port for a moment as its end of a connection.
      if (starts === MAX_STARTS) throw new Error(`the API server did not come back, see ${started.logPath}`);
      starts += 1;
      await delay(500);
      started = start();
    }
    try {
      await ready();
      return;
    } catch {
      // Not ready yet.
    }
    await delay(50);
  }
  throw new Error('the API server did not become ready again');
}

/** Compacts the history of etcd, as the API server does every five minutes: older resourceVersions are gone. */
export async function compactEtcd(controlPlane: ControlPlane): Promise<void> {
  const { argv } = argvOf(controlPlane, 'etcd');
  const url = argv.find((argument) => argument.startsWith('--listen-client-urls='))?.split('=')[1] ?? '';
  const call = async (path: string, body: object): Promise<{ readonly header?: { readonly revision?: string } }> => {
    const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as { header?: { revision?: string } };
  };
  const { header } = await call('/v3/kv/range', { key: Buffer.from('/').toString('base64') });
  await call('/v3/kv/compaction', { revision: header?.revision, physical: true });
}
