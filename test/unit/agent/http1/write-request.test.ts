/*
 * The head of a request for the upstream.
 */
import { expect } from 'chai';
import { type Http1Request, parseRequestHead } from '../../../../src/agent/http1/request-head.ts';
import { writeRequestHead } from '../../../../src/agent/http1/write-request.ts';

const REQUEST = parseRequestHead('GET / HTTP/1.1\r\nHost: h\r\n\r\n') as Http1Request;
const written = (upgrade: string, ...headers: readonly string[]): string =>
  writeRequestHead({ method: 'GET', target: '/', host: 'h', headers, upgrade }, REQUEST);

describe('writeRequestHead', () => {
  it('states the protocol of an upgrade once, as the client spells it, and nothing else that Connection listed', () => {
    expect(written('websocket', 'connection', 'close, Upgrade, x-user', 'upgrade', 'WebSocket', 'x-user', 'a')).to.equal(
      'GET / HTTP/1.1\r\nhost: h\r\nx-user: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\n',
    );
  });

  it('forwards Expect to the application', () => {
    expect(written('', 'expect', '100-continue')).to.equal('GET / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n\r\n');
  });
});
