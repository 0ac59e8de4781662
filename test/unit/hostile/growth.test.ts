/*
 * The cost of every input is at most proportional to its size. Work is counted, not timed: V8 counts the blocks of code that run,
 * at a size and at four times that size. Work inside a built-in function is not counted; the sizes are such that anything worse than
 * linear there would exceed the timeout of the tests.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { GROWTH_CASES, SQUARE } from './growth-cases.ts';
import type { Growth } from './growth-worker.ts';

/** Four times the input may cost four times the work, plus sorting and V8's inaccuracy. Quadratic work would cost 16 times. */
const MOST = 6;
/** The input grows the same way each time; the collector may drop counts of code that has not run for a while. */
const MEASUREMENTS = 3;

describe('work grows linearly with the input', () => {
  let worker: Worker;
  before(() => {
    worker = new Worker(join(import.meta.dirname, 'growth-worker.ts'));
  });
  after(async () => {
    await worker.terminate();
  });

  async function measure(name: string): Promise<Growth> {
    worker.postMessage(name);
    const [growth] = (await once(worker, 'message')) as [Growth];
    expect(growth.name).to.equal(name);
    return growth;
  }

  for (const name of Object.keys(GROWTH_CASES)) {
    if (name === SQUARE) continue;
    it(name, async function () {
      this.timeout(120_000);
      let growth = await measure(name);
      for (let nth = 1; nth < MEASUREMENTS && !(growth.large / growth.small <= MOST); nth += 1) growth = await measure(name);
      const { small, large } = growth;

      expect(small).to.be.greaterThan(0);
      expect(large / small, `${small} blocks, then ${large}`).to.be.at.most(MOST);
    });
  }

  it('and the measurement detects quadratic growth', async () => {
    const { small, large } = await measure(SQUARE);

    expect(large / small).to.be.greaterThan(15);
  });
});
