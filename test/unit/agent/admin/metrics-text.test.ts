import { expect } from 'chai';
import { limitRenderings } from '../../../../src/agent/admin/metrics-text.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';

describe('text of /metrics', () => {
  it('is rendered for each scrape at a usual rate, and repeated in a flood', () => {
    const clock = createFakeClock();
    let renderings = 0;
    const text = limitRenderings(() => `a ${++renderings}\n`, clock);
    const most = LIMITS.metricsRenderings.value;

    const texts = Array.from({ length: most + 2 }, text);

    expect(texts.slice(0, 2)).to.deep.equal(['a 1\n', 'a 2\n']);
    expect(texts.slice(-3)).to.deep.equal([`a ${most}\n`, `a ${most}\n`, `a ${most}\n`]);
    clock.advance(LIMITS.metricsWindow.value);
    expect(text()).to.equal(`a ${most + 1}\n`);
  });
});
