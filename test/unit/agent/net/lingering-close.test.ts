/*
 * When a closing client connection is dropped.
 */
import { expect } from 'chai';
import { LingeringClose } from '../../../../src/agent/net/lingering-close.ts';

describe('LingeringClose', () => {
  it('is due when the client has read everything', () => {
    expect(new LingeringClose().isDue(0, 0, 1000)).to.equal(true);
  });

  it('is not due while the client reads, and due when it has read nothing for the whole time', () => {
    const closing = new LingeringClose();
    expect(closing.isDue(10, 0, 1000)).to.equal(false);
    expect(closing.isDue(10, 999, 1000)).to.equal(false);
    expect(closing.isDue(9, 1000, 1000)).to.equal(false);
    expect(closing.isDue(9, 1999, 1000)).to.equal(false);
    expect(closing.isDue(9, 2000, 1000)).to.equal(true);
  });
});
