/* Shares of the streams of the process. */
import { expect } from 'chai';
import { releaseStream, takeStream } from '../../../../src/agent/http2/stream-shares.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';

describe('shares of streams', () => {
  const all = LIMITS.streams.value;
  let taken = 0;

  /** Takes streams for connections with none, until `count` are open. */
  const openUntil = (count: number): void => {
    for (; taken < count; taken += 1) expect(takeStream(0)).to.equal(true);
  };
  const isTaken = (own: number): boolean => {
    if (!takeStream(own)) return false;
    releaseStream();
    return true;
  };
  afterEach(() => {
    for (; taken > 0; taken -= 1) releaseStream();
  });

  for (const { share, own } of [
    { share: 0.5, own: [100, 101, 8192] },
    { share: 0.75, own: [8, 9, 99] },
    { share: 1, own: [0, 1, 7] },
  ]) {
    it(`gives ${share} of all to connections with ${own.join(', ')}`, () => {
      openUntil(all * share - 1);
      expect(own.map(isTaken)).to.deep.equal(own.map(() => true));

      openUntil(all * share);
      const before = LIMITS.streams.reached;
      expect(own.map(isTaken)).to.deep.equal(own.map(() => false));
      expect(LIMITS.streams.reached - before).to.equal(own.length);
    });
  }
});
