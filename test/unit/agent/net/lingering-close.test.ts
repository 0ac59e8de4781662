/*
 * How much a closing client may still send.
 */
import { expect } from 'chai';
import { LingeringClose } from '../../../../src/agent/net/lingering-close.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

describe('LingeringClose', () => {
  it('discards up to a number of bytes', () => {
    const closing = new LingeringClose();
    expect(closing.discard(LIMITS.discardedBytes.value - 1, 0)).to.equal(true);
    expect(closing.discard(1, 0)).to.equal(true);
    expect(closing.discard(1, 0)).to.equal(false);
  });

  it('discards for a limited time, however little comes', () => {
    const closing = new LingeringClose();
    expect(closing.discard(1, 5)).to.equal(true);
    expect(closing.discard(1, 4 + LIMITS.discardTime.value)).to.equal(true);
    expect(closing.discard(1, 5 + LIMITS.discardTime.value)).to.equal(false);
  });
});
