import { expect } from 'chai';
import { momentText, spanText } from '../../../src/explain/span-text.ts';

describe('spanText', () => {
  for (const [seconds, text] of [
    [0, '0 s'],
    [119, '119 s'],
    [120, '2 min'],
    [7199, '119 min'],
    [10_800, '3 h'],
    [172_799, '47 h'],
    [172_800, '2 d'],
  ] as const) {
    it(`says ${text} for ${seconds}`, () => {
      expect(spanText(seconds)).to.equal(text);
    });
  }
});

describe('momentText', () => {
  it('is ISO 8601 in whole seconds', () => {
    expect(momentText(1_769_860_800)).to.equal('2026-01-31T12:00:00Z');
  });

  it('is the number itself beyond the calendar', () => {
    expect(momentText(2 ** 60)).to.equal(String(2 ** 60));
  });
});
