/*
 * Suites whose steps build on each other.
 */
import { diagnose } from './diagnose.ts';
import type { Shell } from './shell.ts';

/** Adds hooks to the suite at hand: a failure prints the state of the cluster and skips the remaining steps. @param shell of the suite, once there is one */
export function stopAtFailure(shell: () => Shell): void {
  let failed = false;
  beforeEach(function () {
    if (failed) this.skip();
  });
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    failed = true;
    await diagnose(shell(), this.currentTest.title);
  });
}
