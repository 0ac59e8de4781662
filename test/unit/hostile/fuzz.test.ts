/*
 * A short run of the fuzzer on each target: seeds, regressions, and several hundred new inputs. It runs in its own process,
 * because V8 counts coverage per process. `npm run fuzz` runs longer.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const FUZZER = join(import.meta.dirname, '../../fuzz/fuzz.ts');

async function run(...args: readonly string[]): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  // The coverage of the tests themselves must not mix with that of the fuzzer.
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [FUZZER, ...args], { env })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('parsers of untrusted input', () => {
  it('keep their properties under a short fuzzing run', async function () {
    this.timeout(120_000);

    const { code, stdout, stderr } = await run('--executions', '500');

    expect(code, stdout + stderr).to.equal(0);
    expect(stdout).to.match(/^seed [0-9]+\n(?:ok +[a-z-]+ +[0-9]{3,} inputs, .*\n){10}$/);
  });

  it('all have a fuzz target', async () => {
    expect((await run('missing')).stderr).to.contain('no target is called missing');
  });
});
