/*
 * Finding request heads in the bytes of a connection.
 */
import { expect } from 'chai';
import { CODEC_ERROR, HEAD_TOO_LARGE } from '../../../../src/agent/http1/codec-replies.ts';
import { RequestHeadReader } from '../../../../src/agent/http1/request-head-reader.ts';

const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('RequestHeadReader', () => {
  const read = (reader: RequestHeadReader, text: string, isFirst = true): string => {
    const bytes = Buffer.from(text, 'latin1');
    return reader.read(bytes, 0, bytes.length, isFirst);
  };

  it('finds a head and the first byte behind it', () => {
    const reader = new RequestHeadReader();
    expect(read(reader, `${HEAD}body`)).to.equal('head');
    expect(reader).to.include({ next: HEAD.length, hasBegun: false });
    expect(reader.takeHead()).to.equal(HEAD);
  });

  it('skips empty lines before a head', () => {
    const reader = new RequestHeadReader();
    expect(read(reader, '\r\n\r\n')).to.equal('none');
    expect(read(reader, `\r\n${HEAD}`)).to.equal('head');
    expect(reader.takeHead()).to.equal(HEAD);
  });

  it('keeps an unfinished head', () => {
    const reader = new RequestHeadReader();
    expect(read(reader, HEAD.slice(0, 10))).to.equal('more');
    expect(reader.hasBegun).to.equal(true);
    expect(read(reader, HEAD.slice(10), false)).to.equal('head');
    expect(reader.takeHead()).to.equal(HEAD);
  });

  it('refuses bytes that cannot become a head before it is complete', () => {
    const reader = new RequestHeadReader();
    expect(read(reader, '\x16\x03\x01')).to.equal('fault');
    expect(reader.fault).to.equal(CODEC_ERROR);
  });

  it('refuses a head that is too long', () => {
    const reader = new RequestHeadReader();
    expect(read(reader, `GET / HTTP/1.1\r\nX: ${'x'.repeat(61 * 1024)}`)).to.equal('fault');
    expect(reader.fault).to.equal(HEAD_TOO_LARGE);
  });
});
