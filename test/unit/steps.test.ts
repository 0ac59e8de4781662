import { expect } from 'chai';
import { doSteps, doStepsApart, type Steps } from '../../src/steps.ts';

function* count(to: number, done: number[]): Steps<string> {
  for (let at = 0; at < to; at += 1) {
    done.push(at);
    yield;
  }
  return `counted to ${to}`;
}

describe('steps', () => {
  it('are all done without a pause', () => {
    const done: number[] = [];

    expect(doSteps(count(3, done))).to.equal('counted to 3');
    expect(done).to.deep.equal([0, 1, 2]);
  });

  it('are done until a turn is over, then after a pause', async () => {
    const done: number[] = [];
    const seen: number[] = [];
    const pause = (resume: () => void): void => {
      seen.push(done.length);
      setImmediate(resume);
    };

    // Each step takes a millisecond.
    const result = await doStepsApart(count(7, done), { pause, turnMs: 3, nowMs: () => done.length });

    expect(result).to.equal('counted to 7');
    expect(seen).to.deep.equal([3, 6]);
  });

  it('reject with what a step throws', async () => {
    function* broken(): Steps<never> {
      yield;
      throw new Error('broken');
    }
    const failure = await doStepsApart(broken(), { pause: setImmediate, turnMs: 0 }).catch((error: unknown) => error);

    expect(String(failure)).to.equal('Error: broken');
  });
});
