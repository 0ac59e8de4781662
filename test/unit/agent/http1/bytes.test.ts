import { expect } from 'chai';
import { hasControlCharacter, hasIllegalByte, isWhitespace, listContains, trimWhitespace } from '../../../../src/agent/http1/bytes.ts';

describe('bytes of a head', () => {
  it('are trimmed of spaces and tabs in their range', () => {
    expect(trimWhitespace('x \t a b\t x', 1, 9)).to.equal('a b');
    expect(trimWhitespace(' a', 0, 2)).to.equal('a');
    expect(trimWhitespace('a ', 0, 2)).to.equal('a');
    expect(trimWhitespace(' \t ', 0, 3)).to.equal('');
    expect(trimWhitespace('a', 0, 0)).to.equal('');
    expect(trimWhitespace('\ra\n\v', 0, 4)).to.equal('\ra\n\v');
    expect([0x20, 0x09, 0x0a, 0x0d, 0xa0].map(isWhitespace)).to.deep.equal([true, true, false, false, false]);
  });

  for (const [list, expected] of [
    ['close', true],
    ['Close', true],
    ['clos', false],
    ['closed', false],
    ['xxxxx', false],
    ['keep-alive, close', true],
    ['close,keep-alive', true],
    ['keep-alive,\tCLOSE ', true],
    ['keep-alive, closed', false],
    ['keep-alive close', false],
    ['', false],
    [',,close,', true],
  ] as const) {
    it(`${expected ? 'contain' : 'do not contain'} close in the list "${list}"`, () => {
      expect(listContains(list, 'close')).to.equal(expected);
    });
  }

  it('have a control character anywhere but at their beginning', () => {
    for (const character of ['\0', '\b', '\v', '\f', '\x0e', '\x1f', '\x7f']) {
      expect(hasControlCharacter(`a${character}`), JSON.stringify(character)).to.equal(true);
      expect(hasControlCharacter(`${character}a`), JSON.stringify(character)).to.equal(false);
    }
    for (const character of ['\t', '\n', '\r', ' ', '~', '\x80', '\xff']) expect(hasControlCharacter(`a${character}`)).to.equal(false);
  });

  for (const [head, expected] of [
    ['', false],
    ['a\r\nb\r\n', false],
    ['a\tb\x80\xff', false],
    ['a\0', true],
    ['\0', true],
    ['a\x7f', true],
    ['a\nb', true],
    ['a\r\nb\nc', true],
    ['\na', false],
    ['a\n', true],
    ['a\rb', true],
    ['a\r\nb\rc', true],
    ['a\r\r\n', true],
    ['\ra', true],
    ['a\r', false],
    ['a\r\n\r', false],
  ] as const) {
    it(`are ${expected ? 'illegal' : 'legal'} as ${JSON.stringify(head)}`, () => {
      expect(hasIllegalByte(head)).to.equal(expected);
    });
  }
});
