import { expect } from 'chai';
import { deadline, interval } from '../../../src/limits/limit.ts';
import { pause, startDeadline, startInterval, startTimer } from '../../../src/limits/timers.ts';

describe('declared timers', () => {
  it('count a deadline that passes, and no deadline that is cancelled', async () => {
    const limit = deadline('time', 60_000);
    const cancelled = deadline('other-time', 1);
    startDeadline(cancelled, () => expect.fail('cancelled'))();

    await new Promise<void>((resolve) => {
      startDeadline(limit, resolve, { ms: 1 });
    });
    await pause(interval('pause', 5));

    expect([limit.reached, cancelled.reached]).to.deep.equal([1, 0]);
  });

  it('take the time of a clock, and no delay that Node.js would shorten', () => {
    const limit = deadline('time', 2 ** 40);
    const delays: number[] = [];
    const clock = {
      nowMs: () => 0,
      wallMs: () => 0,
      after: (delayMs: number, run: () => void) => {
        delays.push(delayMs);
        run();
        return () => {};
      },
    };

    startDeadline(limit, () => {}, { clock });

    expect(delays).to.deep.equal([2 ** 31 - 1]);
    expect(limit.reached).to.equal(1);
  });

  it('repeat until they are stopped', async () => {
    const period = interval('period', 1);
    let calls = 0;
    await new Promise<void>((resolve) => {
      const stop = startInterval(period, () => {
        calls += 1;
        if (calls < 3) return;
        stop();
        startTimer(period, resolve);
        void pause(interval('longer', 20)).then(resolve);
      });
    });
    expect(calls).to.equal(3);
    expect(period.reached).to.equal(0);
  });
});
