import { expect } from 'chai';
import { countTokens, hasToken } from '../../../src/explain/token-marks.ts';

describe('marks of a token', () => {
  it('finds a header and a payload, with a dot behind each', () => {
    expect(hasToken('eyJh.eyJp.')).to.equal(true);
    expect(hasToken('a=eyJh.eyJp.sig; b=c')).to.equal(true);
    expect(hasToken('eyJh.eyJp')).to.equal(false);
    expect(hasToken('xeyJh.eyJp.')).to.equal(false);
    expect(hasToken('eyJ.eyJp.')).to.equal(false);
    expect(hasToken('eyJh.eyJ p.')).to.equal(false);
    expect(hasToken('')).to.equal(false);
  });

  it('counts tokens that were joined', () => {
    expect(countTokens('eyJh.eyJp.sig')).to.equal(1);
    expect(countTokens('eyJh.eyJp.sig,eyJh.eyJp.sig')).to.equal(2);
    expect(countTokens('eyJh.eyJp.sig eyJh.eyJp.sig')).to.equal(2);
    expect(countTokens('eyJh.eyJp.eyJs')).to.equal(1);
    expect(countTokens('opaque')).to.equal(0);
  });
});
