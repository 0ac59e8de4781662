/*
 * The response head parser: what is passed on, what the framing is, and what no response may look like.
 */
import { expect } from 'chai';
import { RESPONSE_FAULT } from '../../../../src/agent/http1/response-fault.ts';
import { type Http1Response, parseResponseHead } from '../../../../src/agent/http1/response-head.ts';
import { RAW_CHUNKS, UNKNOWN_LENGTH } from '../../../../src/http/stream.ts';

/** @throws Error when the head is refused */
function parse(text: string, method = 'GET'): Http1Response {
  const response = parseResponseHead(text, method);
  if (typeof response === 'string') throw new Error(response);
  return response;
}

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
      length: text.length,
      close: false,
      keepAliveMs: 7000,
      upgrade: 'h2c',
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

  it('has no upgrade without the field', () => {
    expect(parse('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n')).to.include({ upgrade: '' });
  });

  it('accepts a status line without reason', () => {
    expect(parse('HTTP/1.1 200\r\n\r\n')).to.include({ status: 200, reason: '' });
    expect(parse('HTTP/1.1 200 \r\n\r\n')).to.include({ status: 200, reason: '' });
  });

  const LENGTH = 'Content-Length: 2';
  const accepted: readonly (readonly [name: string, text: string, headers: readonly string[]])[] = [
    ['a value folded over lines that end in CR LF', `HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\n${LENGTH}\r\n\r\n`, ['x', 'a  b\tc']],
    ['a value folded over lines that end in LF', `HTTP/1.1 200 OK\r\nX: a;\n  b;\r\n${LENGTH}\r\n\r\n`, ['x', 'a;  b;']],
    ['a value that begins on the second line', `HTTP/1.1 200 OK\r\nX:\r\n b\r\n${LENGTH}\r\n\r\n`, ['x', 'b']],
    ['a folded line of spaces', `HTTP/1.1 200 OK\r\nX: a\r\n   \r\n c\r\n${LENGTH}\r\n\r\n`, ['x', 'a    c']],
    ['whitespace around folded lines', `HTTP/1.1 200 OK\r\nX: a  \r\n  b  \r\n${LENGTH}\r\n\r\n`, ['x', 'a    b']],
    [
      'a folded line that looks like a field',
      `HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 9\r\n${LENGTH}\r\n\r\n`,
      ['x', 'a Content-Length: 9'],
    ],
    ['a folded length', 'HTTP/1.1 200 OK\r\nX: a\r\nContent-Length:\r\n 2\r\n\r\n', ['x', 'a']],
    ['lines that end in LF', `HTTP/1.1 200 OK\nX: a\n${LENGTH}\n\n`, ['x', 'a']],
    ['LF at the end of the status line', `HTTP/1.1 200 OK\nX: a\r\n${LENGTH}\r\n\r\n`, ['x', 'a']],
    ['an empty line that ends in LF', `HTTP/1.1 200 OK\r\nX: a\r\n${LENGTH}\r\n\n`, ['x', 'a']],
    ['an empty line that ends in CR LF behind LF', `HTTP/1.1 200 OK\nX: a\n${LENGTH}\n\r\n`, ['x', 'a']],
    ['CR CR LF', `HTTP/1.1 200 OK\r\nX: a\r\r\n${LENGTH}\r\r\n\r\n`, ['x', 'a']],
    ['a CR in a value', `HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n${LENGTH}\r\n\r\n`, ['x', 'aSet-Cookie: b']],
    ['a LF in a value, which begins a field', `HTTP/1.1 200 OK\r\nX: a\nY: b\r\n${LENGTH}\r\n\r\n`, ['x', 'a', 'y', 'b']],
    ['spaces around the status', `HTTP/1.1  200   OK\r\nX: a\r\n${LENGTH}\r\n\r\n`, ['x', 'a']],
    ['tabs around the status', `HTTP/1.1\t200\tOK\r\nX: a\r\n${LENGTH}\r\n\r\n`, ['x', 'a']],
    ['another version of HTTP', `HTTP/2.0 200 OK\r\nX: a\r\n${LENGTH}\r\n\r\n`, ['x', 'a']],
  ];
  for (const [name, text, headers] of accepted) {
    it(`accepts ${name}`, () => {
      const body = 'ab\r\n\r\ncd\0';
      for (const behind of ['', body]) {
        expect(parse(text + behind)).to.deep.include({
          status: 200,
          reason: 'OK',
          headers: [...headers, 'content-length', '2'],
          body: 2,
          length: text.length,
        });
      }
    });
  }

  it('removes a length of 0 from a response that never has a body, and keeps the length of 304', () => {
    expect(parse('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n').headers).to.deep.equal([]);
    expect(parse('HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nX: a\r\n\r\n').headers).to.deep.equal(['x', 'a']);
    expect(parse('HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n')).to.deep.include({ headers: [], body: 0 });
    expect(parse('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n')).to.deep.include({ headers: ['content-length', '5'], body: 0 });
    expect(parse('HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n')).to.deep.include({ headers: ['content-length', '0'], body: 0 });
  });

  const { notHttp, statusLine, field, controlCharacter, contentLength, transferEncoding } = RESPONSE_FAULT;
  for (const [name, text, fault] of [
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n', notHttp],
    ['a line before the status line', '\r\nHTTP/1.1 200 OK\r\n\r\n', notHttp],
    ['a version in lower case', 'http/1.1 200 OK\r\n\r\n', notHttp],
    ['a version without dot', 'HTTP/2 200 OK\r\n\r\n', statusLine],
    ['a version of two digits', 'HTTP/1.10 200 OK\r\n\r\n', statusLine],
    ['no status', 'HTTP/1.1 OK\r\n\r\n', statusLine],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', statusLine],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n', statusLine],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n', statusLine],
    ['no space behind the status', 'HTTP/1.1 200OK\r\n\r\n', statusLine],
    ['a CR in the status line', 'HTTP/1.1 200 O\rK\r\n\r\n', statusLine],
    ['a folded status line', 'HTTP/1.1 200 OK\r\n X: a\r\n\r\n', field],
    ['a blank before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n', field],
    ['a name over two lines', 'HTTP/1.1 200 OK\r\nA\r\n : b\r\n\r\n', field],
    ['a line without colon', 'HTTP/1.1 200 OK\r\nA\r\n\r\n', field],
    ['an empty name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n', field],
    ['a pseudo name', 'HTTP/1.1 200 OK\r\n:status: 500\r\n\r\n', field],
    ['a NUL', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n', controlCharacter],
    ['a control character in the reason', 'HTTP/1.1 200 a\x01\r\n\r\n', controlCharacter],
    ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n', RESPONSE_FAULT.lengthAndChunked],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n', contentLength],
    ['a length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n', contentLength],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\n', contentLength],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n', contentLength],
    ['a length folded within', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\n', contentLength],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', transferEncoding],
    ['two codings', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', transferEncoding],
    ['204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n', RESPONSE_FAULT.lengthNotAllowed],
    ['204 with chunks', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', RESPONSE_FAULT.codingNotAllowed],
    ['103 with a body', 'HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n', RESPONSE_FAULT.lengthNotAllowed],
    ['too many fields', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(1001)}\r\n`, RESPONSE_FAULT.tooManyHeaders],
  ] as const) {
    it(`refuses ${name}`, () => {
      expect(parseResponseHead(text, 'GET')).to.equal(fault);
    });
  }
});
