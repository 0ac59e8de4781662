import { expect } from 'chai';
import { LimitLog } from '../../../../src/agent/log/limit-log.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { count, deadline } from '../../../../src/limits/limit.ts';
import type { Logger } from '../../../../src/telemetry/logger.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';

describe('log of limits', () => {
  it('has one line in a period for a limit that was reached, with the number of times', () => {
    const clock = createFakeClock();
    const lines: object[] = [];
    const logger = { warn: (fields: object) => lines.push(fields) } as unknown as Logger;
    const [things, time] = [count('things', 5), deadline('time', 5)];
    const log = new LimitLog(logger, clock, [things, time]);

    log.check();
    things.hit();
    time.hit();
    log.check();
    things.hit();
    things.hit();
    log.check();
    expect(lines).to.deep.equal([{ limit: 'things', times: 1 }]);

    clock.advance(LIMITS.limitLog.value);
    log.check();
    clock.advance(LIMITS.limitLog.value);
    log.check();
    expect(lines).to.deep.equal([
      { limit: 'things', times: 1 },
      { limit: 'things', times: 2 },
    ]);
  });
});
