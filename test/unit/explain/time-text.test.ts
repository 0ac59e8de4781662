import { expect } from 'chai';
import { durationText, timeText } from '../../../src/explain/time-text.ts';

describe('durationText', () => {
  for (const [seconds, text] of [
    [0, '0 s'],
    [119, '119 s'],
    [120, '2 min'],
    [7199, '119 min'],
    [10_800, '3 h'],
    [172_799, '47 h'],
    [172_800, '2 d'],
  ] as const) {
    it(`returns ${text} for ${seconds}`, () => {
      expect(durationText(seconds)).to.equal(text);
    });
  }
});

describe('timeText', () => {
  it('returns ISO 8601 in whole seconds', () => {
    expect(timeText(1_769_860_800)).to.equal('2026-01-31T12:00:00Z');
  });

  it('returns the number itself when it is beyond the range of dates', () => {
    expect(timeText(2 ** 60)).to.equal(String(2 ** 60));
  });
});
