import { expect } from 'chai';
import { onOneLine, upTo, withoutTrailing } from '../../src/text.ts';

describe('scans over text', () => {
  it('removes trailing characters', () => {
    expect(withoutTrailing('a-b-.-', '-.')).to.equal('a-b');
    expect(withoutTrailing('---', '-')).to.equal('');
    expect(withoutTrailing('a', '-')).to.equal('a');
  });

  it('cuts at the first mark', () => {
    expect(upTo('a/b/c', '/')).to.equal('a');
    expect(upTo('abc', '/')).to.equal('abc');
  });

  it('joins lines without empty ones', () => {
    expect(onOneLine(' a \n\r\n\tb\n')).to.equal('a b');
    expect(onOneLine('\n')).to.equal('');
  });
});
