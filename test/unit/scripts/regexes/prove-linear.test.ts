import { expect } from 'chai';
import { superLinear } from '../../../../scripts/regexes/prove-linear.ts';

const reasonOf = ({ source, flags }: RegExp, isRepeated: boolean = flags.includes('g')): string | undefined =>
  superLinear({ source, flags, isRepeated });

describe('the proof that a regular expression is linear', () => {
  it('holds for expressions that try each position in constant time', () => {
    expect(reasonOf(/^[a-z]+$/)).to.equal(undefined);
    expect(reasonOf(/[?#]/)).to.equal(undefined);
    expect(reasonOf(/;[^/]*/g)).to.equal(undefined);
    expect(reasonOf(/\d+[a-z]?/y)).to.equal(undefined);
  });

  it('fails when each start is tried up to the end', () => {
    expect(reasonOf(/-+$/)).to.match(/not linear/);
    expect(reasonOf(/#.*$/)).to.match(/not linear/);
    expect(reasonOf(/(a|a)*$/)).to.match(/not linear/);
  });

  it('fails when matches are linear one by one, and quadratic together', () => {
    expect(reasonOf(/a(?:.*b)?/)).to.equal(undefined);
    expect(reasonOf(/a(?:.*b)?/g)).to.match(/not linear/);
    expect(reasonOf(/a(?:.*b)?/, true)).to.match(/not linear/);
  });

  it('fails for what recheck cannot prove', () => {
    expect(reasonOf(/^(?!a+b)x/)).to.match(/no proof/);
  });
});
