/*
 * The response head parser: what is passed on, what the framing is, and what no response may look like.
 */
import { expect } from 'chai';
import { parseResponseHead } from '../../../../src/agent/http1/response-head.ts';
import { RAW_CHUNKS, UNKNOWN_LENGTH } from '../../../../src/http/stream.ts';

const parse = (text: string, method = 'GET') => parseResponseHead(text, method);

describe('parseResponseHead', () => {
  it('passes end-to-end fields on in lower case and drops hop-by-hop fields', () => {
    const text =
      'HTTP/1.1 200 All Right\r\nServer: x\r\nContent-Type: a/b\r\nSet-Cookie: 1\r\nSet-Cookie: 2\r\nConnection: Keep-Alive, X-Hop\r\nX-Hop: z\r\n' +
      'Keep-Alive: max=5, timeout=7\r\nUpgrade: h2c\r\nDate: d\r\nContent-Length: 3\r\n\r\n';
    expect(parse(text)).to.deep.equal({
      status: 200,
      reason: 'All Right',
      headers: ['content-type', 'a/b', 'set-cookie', '1', 'set-cookie', '2', 'date', 'd', 'content-length', '3'],
      body: 3,
      close: false,
      keepAliveMs: 7000,
    });
  });

  it('keeps the framing fields that Connection lists', () => {
    expect(parse('HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n')).to.deep.include({
      headers: ['content-length', '3'],
      body: 3,
    });
  });

  const framings: readonly (readonly [string, string, string, number, boolean])[] = [
    ['a length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n', 4, false],
    ['chunks', 'GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', RAW_CHUNKS, false],
    ['neither', 'GET', 'HTTP/1.1 200 OK\r\n\r\n', UNKNOWN_LENGTH, true],
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n', 0, false],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 0, false],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n', 0, false],
    ['100', 'POST', 'HTTP/1.1 100 Continue\r\n\r\n', 0, false],
    ['closing', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: Close\r\n\r\n', 4, true],
    ['version 1.0', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\n', 4, true],
    ['version 1.0 kept alive', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n', 4, false],
  ];
  for (const [name, method, text, body, close] of framings) {
    it(`determines the framing: ${name}`, () => {
      expect(parse(text, method)).to.include({ body, close });
    });
  }

  it('accepts a status line without reason', () => {
    expect(parse('HTTP/1.1 200\r\n\r\n')).to.include({ status: 200, reason: '' });
    expect(parse('HTTP/1.1 200 \r\n\r\n')).to.include({ status: 200, reason: '' });
  });

  for (const [name, text] of [
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['another version', 'HTTP/2 200 OK\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
    ['a blank before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
    ['a NUL', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n'],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n'],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
    ['too many fields', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(1001)}\r\n`],
  ] as const) {
    it(`refuses ${name}`, () => {
      expect(parse(text)).to.equal(undefined);
    });
  }
});
