/* Frames that a peer may send without a request. */
import { expect } from 'chai';
import { ControlCredit } from '../../../../src/agent/http2/control-credit.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

describe('ControlCredit', () => {
  it('takes as many frames as the limit, and no more', () => {
    const credit = new ControlCredit();
    const before = LIMITS.controlFrames.reached;
    for (let frame = 1; frame <= LIMITS.controlFrames.value; frame += 1) expect(credit.spend(), `${frame}`).to.equal(true);
    expect(credit.spend()).to.equal(false);
    expect(LIMITS.controlFrames.reached - before).to.equal(1);
  });

  it('counts SETTINGS by the settings in it', () => {
    const credit = new ControlCredit();
    expect(credit.spendOnSettings(LIMITS.controlFrames.value - 1)).to.equal(true);
    expect(credit.spendOnSettings(0)).to.equal(false);
  });

  it('takes as many empty frames in a row as the limit, and no more', () => {
    const credit = new ControlCredit();
    for (let frame = 1; frame <= LIMITS.emptyFrames.value; frame += 1) expect(credit.spendOnEmpty(), `${frame}`).to.equal(true);
    expect(credit.spendOnEmpty()).to.equal(false);
  });
});
