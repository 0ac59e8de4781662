/*
 * Backup and restore of a test's control plane as of a real one: a snapshot of etcd while it runs, and later etcd and the API server stopped, the
 * snapshot restored by etcdutl into a new data directory, and both started again.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryPath } from '../cluster/build.ts';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { killAll, startDaemon } from '../cluster/process.ts';
import { until } from './fake-clock.ts';

const PATIENCE_MS = 60_000;

interface Process {
  readonly pid: number;
  readonly argv: readonly string[];
}

function processOf({ stateDir }: ControlPlane, name: string): Process {
  const pid = Number(readFileSync(join(stateDir, 'pids', name), 'utf8').split(' ')[0]);
  return { pid, argv: readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1) };
}

function flagOf({ argv }: Process, name: string): string {
  return argv.find((argument) => argument.startsWith(`--${name}=`))?.split('=')[1] ?? '';
}

/** Takes a snapshot of etcd, as `etcdctl snapshot save` does. @returns the path of the file, in the state directory of the control plane */
export async function saveSnapshot(controlPlane: ControlPlane): Promise<string> {
  const etcd = processOf(controlPlane, 'etcd');
  const answer = await fetch(`${flagOf(etcd, 'listen-client-urls')}/v3/maintenance/snapshot`, { method: 'POST', body: '{}' });
  const lines = (await answer.text()).split('\n').filter((line) => line !== '');
  const blobs = lines.map((line) => (JSON.parse(line) as { readonly result: { readonly blob?: string } }).result.blob ?? '');
  const path = join(controlPlane.stateDir, `snapshot-${Date.now()}.db`);
  writeFileSync(path, Buffer.concat(blobs.map((blob) => Buffer.from(blob, 'base64'))));
  return path;
}

/**
 * Stops API server and etcd, restores the snapshot, and starts both again with the same arguments.
 * @param ready rejects until the API server serves
 */
export async function restoreSnapshot(controlPlane: ControlPlane, snapshot: string, ready: () => Promise<unknown>): Promise<void> {
  const [apiServer, etcd] = [processOf(controlPlane, 'kube-apiserver'), processOf(controlPlane, 'etcd')];
  killAll([apiServer.pid, etcd.pid]);
  const directory = `${snapshot}.restored`;
  const peers = flagOf(etcd, 'initial-advertise-peer-urls');
  const args = ['snapshot', 'restore', snapshot, `--data-dir=${directory}`, '--name=default', `--initial-cluster=default=${peers}`];
  execFileSync(binaryPath('etcdutl'), [...args, `--initial-advertise-peer-urls=${peers}`], { stdio: 'ignore' });
  const argv = etcd.argv.map((argument) => (argument.startsWith('--data-dir=') ? `--data-dir=${directory}` : argument));
  await start(
    controlPlane,
    { name: 'etcd', argv },
    async () => (await fetch(`${flagOf(etcd, 'listen-client-urls')}/health`)).ok || Promise.reject(),
  );
  await start(controlPlane, { name: 'kube-apiserver', argv: apiServer.argv }, ready);
}

/** A client that reconnects may hold the freed port for a moment, so that the program ends and is started once more. */
async function start(
  { stateDir }: ControlPlane,
  { name, argv }: { readonly name: string; readonly argv: readonly string[] },
  ready: () => Promise<unknown>,
): Promise<void> {
  const [file = '', ...args] = argv;
  let started = startDaemon({ name, file, args }, stateDir, false);
  await until(
    async () => {
      if (started.exited()) started = startDaemon({ name, file, args }, stateDir, false);
      return ready().then(
        () => true,
        () => false,
      );
    },
    `${name} to be ready`,
    PATIENCE_MS,
  );
}
