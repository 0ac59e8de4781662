/*
 * Files that another user put into a directory: a command reads none that could keep it from ending. As a separate process, because
 * a thread that waits for a FIFO keeps only the process from ending, not the command.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { TRUST_ANCHOR_FILE } from '../../support/guarded-pods.ts';
import { withDirectory } from '../../support/temporary-directory.ts';

const entry = fileURLToPath(new URL('../../../src/main/cli.ts', import.meta.url));
const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: foo }
spec: { rules: [{}] }
`;

function start(cwd: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [entry, ...args], { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
}

async function run(cwd: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const child = start(cwd, args);
  child.stdin?.end();
  const [out, error, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { code, output: out + error };
}

describe('files that are no manifests, whatever their name', function () {
  for (const args of [
    ['check', 'p'],
    ['diff', 'p', 'p', '--generate', '10'],
    ['run', 'p'],
  ]) {
    it(`${args[0]} ends in spite of a FIFO and a link to a device in the directory`, async () => {
      await withDirectory({ 'p/a.yaml': POLICY }, async (cwd) => {
        execFileSync('mkfifo', [join(cwd, 'p/x.yaml')]);
        symlinkSync('/dev/zero', join(cwd, 'p/z.yaml'));
        const { code, output } = await run(cwd, args);

        expect(output).to.include('x.yaml').and.to.include('not a regular file: it is a FIFO');
        expect(output).to.include('z.yaml').and.to.include('a link to a file outside of the directory');
        expect(code).to.be.oneOf([65, 79]);
      });
    });
  }

  it('check ends in spite of a device of that name', async () => {
    await withDirectory({}, async (cwd) => {
      symlinkSync('/dev/zero', join(cwd, 'z.yaml'));
      const { code, output } = await run(cwd, ['check', 'z.yaml']);

      expect(output).to.include('z.yaml').and.to.include('not a regular file: it is a device');
      expect(code).to.equal(65);
    });
  });
});

describe('signals', function () {
  const waiting: readonly (readonly [signal: 'SIGINT' | 'SIGTERM', ...args: readonly string[]])[] = [
    ['SIGINT', 'check', '-'],
    ['SIGTERM', 'inject', '--trust-anchor', TRUST_ANCHOR_FILE, '-f', '-'],
    ['SIGINT', 'test', 'p', '--config', '-'],
    ['SIGTERM', 'run', 'p', '--config', '-'],
  ];
  for (const [signal, ...args] of waiting) {
    it(`${signal} ends ${args[0]} while it waits for standard input`, async () => {
      await withDirectory({ 'p/a.yaml': POLICY }, async (cwd) => {
        const child = start(cwd, args);
        await isReadingInput(child);
        child.kill(signal);

        expect(await once(child, 'exit')).to.deep.equal([null, signal]);
      });
    });
  }

  it('SIGTERM ends diff while it generates requests', async () => {
    await withDirectory({ 'p/a.yaml': POLICY }, async (cwd) => {
      const child = start(cwd, ['diff', 'p', 'p', '--generate', '9999999']);
      await untilBusySeconds(child, 2);
      child.kill('SIGTERM');

      expect(await once(child, 'exit')).to.deep.equal([null, 'SIGTERM']);
    });
  });

  it('a shell sees 130 and 143', async () => {
    await withDirectory({}, async (cwd) => {
      for (const [signal, code] of [
        ['INT', '130'],
        ['TERM', '143'],
      ] as const) {
        const script = `"$0" "$1" check - & sleep 0.1; kill -${signal} $!; wait $!; echo $?`;
        // A shell without job control starts background processes with SIGINT ignored.
        const shown = execFileSync('bash', ['-m', '-c', script, process.execPath, entry], {
          cwd,
          encoding: 'utf8',
          stdio: ['pipe', 'pipe', 'ignore'],
        });

        expect(shown.trim()).to.equal(code);
      }
    });
  });

  it('the first one lets run end its agents, and it exits with 0', async () => {
    await withDirectory({ 'p/a.yaml': POLICY }, async (cwd) => {
      const child = start(cwd, ['run', 'p']);
      await once(child.stderr as NodeJS.ReadableStream, 'data');
      child.kill('SIGTERM');

      expect(await once(child, 'exit')).to.deep.equal([0, null]);
    });
  });
});

/** More than a pipe holds is taken from it only by a process that reads. */
async function isReadingInput(child: ChildProcess): Promise<void> {
  const { stdin } = child;
  if (stdin === null) throw new Error('the process has no standard input');
  stdin.on('error', () => undefined);
  stdin.write(Buffer.alloc(512 * 1024, 0x20));
  await once(stdin, 'drain');
}

/** Waits until the process has used so much CPU time, which takes it longer than to start. */
async function untilBusySeconds(child: ChildProcess, seconds: number): Promise<void> {
  const TICKS_PER_SECOND = 100;
  for (;;) {
    const [user, system] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ').slice(13, 15).map(Number);
    if ((user ?? 0) + (system ?? 0) >= seconds * TICKS_PER_SECOND) return;
    await sleep(50);
  }
}
