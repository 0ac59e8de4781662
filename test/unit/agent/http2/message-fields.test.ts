/* Fields that concern messages of HTTP/2. */
import { expect } from 'chai';
import { areTrailers, isForbiddenField, NO_LENGTH, readContentLength } from '../../../../src/agent/http2/message-fields.ts';

describe('fields of HTTP/2 messages', () => {
  it('have a length of digits alone', () => {
    for (const [value, length] of [
      ['0', 0],
      ['007', 7],
      ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ] as const)
      expect(readContentLength(value), value).to.equal(length);
    for (const value of ['', '9007199254740992', '00000000000000001', '1a', '/', ':', '-1', '+1', '1 ', ' 1', '1,1', '0x1'])
      expect(readContentLength(value), value).to.equal(NO_LENGTH);
  });

  it('are not those of a connection of HTTP/1.1', () => {
    for (const name of ['upgrade', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding'])
      expect(isForbiddenField(name, 'x'), name).to.equal(true);
    for (const name of ['te', 'upgrades', 'accept', 'user-agent', 'content-type', 'x-forwarded-host', 'x-transfer-encode'])
      expect(isForbiddenField(name, 'Trailers'), name).to.equal(false);
    expect(isForbiddenField('te', 'gzip')).to.equal(true);
  });

  it('are trailers when they frame and address nothing', () => {
    expect(areTrailers([])).to.equal(true);
    expect(areTrailers(['grpc-status', '0', 'x', ''])).to.equal(true);
    for (const name of [':status', 'content-length', 'host', 'connection']) expect(areTrailers(['x', '', name, '1']), name).to.equal(false);
  });
});
