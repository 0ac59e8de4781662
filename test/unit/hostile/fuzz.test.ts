/*
 * A short run of the fuzzer on each target: seeds, inputs that once broke something, and some hundreds of new ones. It runs
 * as a process of its own, since V8 counts coverage for a whole one. `npm run fuzz` runs longer.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const FUZZER = join(import.meta.dirname, '../../fuzz/fuzz.ts');

async function run(...args: readonly string[]): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  // The coverage of the tests themselves must not be mixed up with this one.
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [FUZZER, ...args], { env })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('parsers of what strangers send', () => {
  it('keep their properties under a short fuzzing run', async function () {
    this.timeout(120_000);

    const { code, stdout, stderr } = await run('--executions', '500');

    expect(code, stdout + stderr).to.equal(0);
    expect(stdout).to.match(/^seed [0-9]+\n(?:ok +[a-z-]+ +[0-9]{3,} inputs, .*\n){10}$/);
  });

  it('are all known to the fuzzer by name', async () => {
    expect((await run('nobody')).stderr).to.contain('no target is called nobody');
  });
});
