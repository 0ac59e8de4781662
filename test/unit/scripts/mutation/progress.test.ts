import { expect } from 'chai';
import { progressOf } from '../../../../scripts/mutation/progress.ts';

describe('the progress of a run', () => {
  it('has the rate so far, and the minutes that are left at that rate', () => {
    expect(progressOf(30, 150, 60_000)).to.equal('30 of 150, 0.50 a second, 4 min left');
    expect(progressOf(150, 150, 60_000)).to.equal('150 of 150, 2.50 a second, 0 min left');
  });
});
