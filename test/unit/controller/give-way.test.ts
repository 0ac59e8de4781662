/* Work that lets more urgent work go first, on a fake clock. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { givingWay } from '../../../src/controller/give-way.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const never = new AbortController().signal;

describe('givingWay', () => {
  it('waits from the beginning of the urgent work, however many wait in turn', async () => {
    const clock = createFakeClock();
    let ahead = 100;
    const give = givingWay({ ahead: () => ahead, clock, atMostMs: 1_000 });
    let done = 0;
    const inTurn = async (): Promise<void> => {
      for (let at = 0; at < 10; at += 1) {
        await give(never);
        done += 1;
      }
    };
    const running = inTurn();
    const pass = async (ms: number): Promise<void> => {
      for (let at = 0; at < ms; at += 50) {
        clock.advance(50);
        await turn();
      }
    };
    await pass(950);
    expect(done).to.equal(0);
    await pass(100);
    await running;
    expect(done).to.equal(10);

    ahead = 0;
    await give(never);
    ahead = 100;
    const again = give(never);
    await pass(950);
    ahead = 0;
    await pass(50);
    await again;
    expect(clock.pending()).to.deep.equal([]);
  });
});
