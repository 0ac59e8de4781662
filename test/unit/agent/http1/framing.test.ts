import { expect } from 'chai';
import { noFraming, noteContentLength, noteTransferEncoding } from '../../../../src/agent/http1/framing.ts';

describe('Content-Length', () => {
  for (const [value, length] of [
    ['0', 0],
    ['7', 7],
    ['0042', 42],
    ['9', 9],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['0000000000000001', 1],
  ] as const) {
    it(`is ${length} for ${value}`, () => {
      const fields = noFraming();
      expect(noteContentLength(fields, value)).to.equal('');
      expect(fields).to.deep.equal({ contentLength: length, chunked: false });
    });
  }

  for (const value of [
    '',
    '-1',
    '+1',
    '1 ',
    ' 1',
    '1,1',
    '0x1',
    '1e3',
    '1.0',
    '/',
    ':',
    '1:',
    '9007199254740992',
    '00000000000000001',
    '١',
  ]) {
    it(`is refused as ${JSON.stringify(value)}`, () => {
      const fields = noFraming();
      expect(noteContentLength(fields, value)).to.equal('content-length');
      expect(fields).to.deep.equal(noFraming());
    });
  }

  it('is refused when it is there twice, even with the same value, and after 0', () => {
    for (const value of ['5', '0']) {
      const fields = noFraming();
      noteContentLength(fields, value);
      expect(noteContentLength(fields, value)).to.equal('content-length');
      expect(fields.contentLength).to.equal(Number(value));
    }
  });
});

describe('Transfer-Encoding', () => {
  it('is chunked, in any case, once', () => {
    for (const value of ['chunked', 'Chunked', 'CHUNKED']) {
      const fields = noFraming();
      expect(noteTransferEncoding(fields, value)).to.equal('');
      expect(fields).to.deep.equal({ contentLength: -1, chunked: true });
      expect(noteTransferEncoding(fields, value)).to.equal('unknown-encoding');
    }
  });

  for (const value of [
    '',
    'identity',
    'gzip',
    'gzip, chunked',
    'chunked, chunked',
    'chunked,',
    ' chunked',
    'chunked;a=b',
    'xchunked',
    'chunke',
  ]) {
    it(`is refused as ${JSON.stringify(value)}`, () => {
      const fields = noFraming();
      expect(noteTransferEncoding(fields, value)).to.equal('unknown-encoding');
      expect(fields.chunked).to.equal(false);
    });
  }
});
