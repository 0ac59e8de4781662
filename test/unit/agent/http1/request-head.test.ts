/*
 * The request head parser: a table of heads that are taken and a longer one of heads that are refused.
 */
import { expect } from 'chai';
import { isHopeless, parseRequestHead } from '../../../../src/agent/http1/request-head.ts';
import { RAW_CHUNKS } from '../../../../src/http/stream.ts';

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const post = (...fields: string[]): string => head('POST /a HTTP/1.1', 'Host: h', ...fields);
const get = (...fields: string[]): string => head('GET /a HTTP/1.1', 'Host: h', ...fields);

describe('parseRequestHead', () => {
  it('keeps method, target, names and order as sent, and trims values', () => {
    expect(parseRequestHead(head('GET /a?b#c HTTP/1.1', 'Host:h', 'X-B: \t one two\t ', 'x-b:', 'x-c: \xe9'))).to.deep.equal({
      kind: 'request',
      version: '1.1',
      hasBody: false,
      method: 'GET',
      target: '/a?b#c',
      headers: ['Host', 'h', 'X-B', 'one two', 'x-b', '', 'x-c', '\xe9'],
      body: 0,
      lengthGiven: false,
      close: false,
      upgrade: false,
      expectContinue: false,
      clientRequestId: '',
      grpcTimeout: '',
    });
  });

  it('accepts a head without fields', () => {
    expect(parseRequestHead('GET / HTTP/1.1\r\n\r\n')).to.include({ kind: 'request', method: 'GET' });
  });

  const taken: readonly (readonly [string, string, object])[] = [
    ['a length', post('Content-Length: 12'), { body: 12, lengthGiven: true }],
    ['a length of nothing', post('content-length: 0'), { body: 0, lengthGiven: true }],
    ['the largest exact length', post('content-length: 9007199254740991'), { body: Number.MAX_SAFE_INTEGER }],
    ['chunks', post('TRANSFER-ENCODING: Chunked'), { body: RAW_CHUNKS, lengthGiven: false }],
    ['closing', get('Connection: close'), { close: true }],
    ['closing in a list', get('Connection: keep-alive,\tClose , x'), { close: true }],
    ['keeping', get('Connection: keep-alive'), { close: false }],
    ['a word like close', get('Connection: closed'), { close: false }],
    ['an expectation', post('Expect: 100-Continue', 'Content-Length: 1'), { expectContinue: true }],
    ['a request id', get('X-Request-ID: 1'), { clientRequestId: '1' }],
    ['request ids, which are forwarded as one', get('X-Request-ID: 1', 'x-request-id: 2'), { clientRequestId: '1,2' }],
    ['a deadline of gRPC', get('Grpc-Timeout: 1S', 'Content-Type: a/b'), { grpcTimeout: '1S', clientRequestId: '' }],
    ['deadlines of gRPC', get('grpc-timeout: 1S', 'grpc-timeout: 2S'), { grpcTimeout: '1S,2S' }],
    ['another field with as long a name as a deadline of gRPC', get('content-type: 1S'), { grpcTimeout: '', clientRequestId: '' }],
    ['Proxy-Connection: close', get('Proxy-Connection: Close'), { close: true }],
    ['Proxy-Connection: keep-alive', get('Proxy-Connection: keep-alive'), { close: false }],
    ['two hosts', get('Host: i'), { headers: ['Host', 'h', 'Host', 'i'] }],
    ['the server as target', head('OPTIONS * HTTP/1.1'), { target: '*' }],
    ['an absolute target', head('GET http://h:80?a HTTP/1.1'), { target: 'http://h:80?a' }],
    ['an authority', head('CONNECT h:80 HTTP/1.1'), { target: 'h:80' }],
    ['a path for CONNECT, which the filter chain refuses', head('CONNECT /a HTTP/1.1'), { target: '/a' }],
    ['an absolute target without authority, which the filter chain refuses', head('GET http:///a HTTP/1.1'), { target: 'http:///a' }],
    ['an asterisk and more, which the filter chain refuses', head('GET *a HTTP/1.1'), { target: '*a' }],
    ['a scheme with every character, which the filter chain refuses', head('GET h1+-.://h/ HTTP/1.1'), { target: 'h1+-.://h/' }],
    ['QUERY', head('QUERY / HTTP/1.1'), { method: 'QUERY' }],
    ['100 fields', head('GET / HTTP/1.1', ...Array.from({ length: 100 }, () => 'a: b')), { method: 'GET' }],
  ];
  for (const [name, text, expected] of taken) {
    it(`accepts ${name}`, () => {
      const { headers, ...rest } = expected as { headers?: string[] };
      const request = parseRequestHead(text);
      expect(request).to.include({ kind: 'request', ...rest });
      if (headers !== undefined) expect(request).to.have.deep.property('headers', headers);
    });
  }
});

describe('parseRequestHead: refusals', () => {
  const codec = 'http1.codec_error';
  const control = 'http1.invalid_characters';
  const refused: readonly (readonly [string, string, number, string])[] = [
    ['nothing', '\r\n\r\n', 400, codec],
    ['a method alone', 'GET\r\n\r\n', 400, codec],
    ['an empty method', ' / HTTP/1.1\r\n\r\n', 400, codec],
    ['a lower-case method', head('get / HTTP/1.1'), 400, codec],
    ['an unknown method', head('FOO / HTTP/1.1'), 400, codec],
    ['a method of a prototype', head('constructor / HTTP/1.1'), 400, codec],
    ['no version', head('GET /'), 426, 'low_version'],
    ['version 1.0', head('GET / HTTP/1.0'), 426, 'low_version'],
    ['version 2', head('GET / HTTP/2.0'), 426, 'low_version'],
    ['an old version of a call', head('POST / HTTP/1.0', 'Content-Type: application/grpc'), 426, 'low_version'],
    ['an old version without Host', 'GET / HTTP/1.0\r\n\r\n', 426, 'low_version'],
    ['an unknown method before an old version', head('FOO / HTTP/1.0'), 400, codec],
    ['a bad field before an old version', head('GET / HTTP/1.0', 'X Y: a'), 400, codec],
    ['a star for GET before an old version', head('GET * HTTP/2.0'), 400, 'http1.invalid_url'],
    ['a star for GET before no version', head('GET *'), 400, 'http1.invalid_url'],
    ['a URL without host before an old version', head('GET http:// HTTP/1.0'), 400, 'http1.invalid_url'],
    ['another scheme before an old version', head('GET ftp://a/ HTTP/1.0'), 400, 'http1.invalid_scheme'],
    [
      'an unknown encoding before an old version',
      head('POST / HTTP/1.0', 'Transfer-Encoding: gzip'),
      501,
      'http1.invalid_transfer_encoding',
    ],
    [
      'a name that Connection may not take before an old version',
      head('GET / HTTP/1.0', 'Connection: x-forwarded-for'),
      400,
      'http1.connection_header_rejected',
    ],
    [
      'a name that Connection may not take before a star for GET',
      head('GET * HTTP/1.0', 'Connection: x-forwarded-for'),
      400,
      'http1.connection_header_rejected',
    ],
    ['no field but no version either', head('GET /', 'X Y: a'), 426, 'low_version'],
    ['version 1.10', head('GET / HTTP/1.10'), 400, codec],
    ['a version in lower case', head('GET / http/1.1'), 400, codec],
    ['two blanks', head('GET  / HTTP/1.1'), 400, codec],
    ['a blank behind the version', head('GET / HTTP/1.1 '), 400, codec],
    ['a blank in the target', head('GET /a b HTTP/1.1'), 400, codec],
    ['a tab in the target', head('GET /a\tb HTTP/1.1'), 400, codec],
    ['a high byte in the target', head('GET /\xe9 HTTP/1.1'), 400, codec],
    ['a relative target', head('GET a HTTP/1.1'), 400, codec],
    ['a fragment behind the authority', head('GET http://h#a HTTP/1.1'), 400, codec],
    ['a scheme that begins with a digit', head('GET 1http://h/ HTTP/1.1'), 400, codec],
    ['bytes that no authority has, for CONNECT', head('CONNECT \\a HTTP/1.1'), 400, codec],
    ['a fragment for CONNECT', head('CONNECT a#b HTTP/1.1'), 400, codec],
    ['a control byte behind other faults', head('FOO  a HTTP/1.0', 'nonsense', 'X: \x01'), 400, control],
    ['a control byte as the first', head('\x01GET / HTTP/1.1'), 400, codec],
    ['a NUL', get('X: a\0b'), 400, control],
    ['a bell', get('X: a\x07b'), 400, control],
    ['DEL', get('X: a\x7f'), 400, control],
    ['a bare CR in a value', get('X: a\rb'), 400, codec],
    ['a bare CR before the end of a line', 'GET / HTTP/1.1\r\nX: a\r\r\n\r\n', 400, codec],
    ['a bare LF in a value', get('X: a\nY: b'), 400, codec],
    ['a bare LF at the beginning', `\n${get()}`, 400, codec],
    ['a folded line', get('X: a', ' b'), 400, codec],
    ['a folded line with a tab', get('X: a', '\tb: c'), 400, codec],
    ['a folded first line', head('GET / HTTP/1.1', ' Host: h'), 400, codec],
    ['a blank before the colon', get('X : a'), 400, codec],
    ['a name with a blank', get('X Y: a'), 400, codec],
    ['a name with a high byte', get('X\xe9: a'), 400, codec],
    ['a name with brackets', get('X[]: a'), 400, codec],
    ['an empty name', get(': a'), 400, codec],
    ['a line without colon', get('nonsense'), 400, codec],
    ['a line without colon before one with', get('nonsense', 'a: b'), 400, codec],
    ['length and chunks', post('Content-Length: 1', 'Transfer-Encoding: chunked'), 400, 'http1.content_length_and_chunked_not_allowed'],
    ['two lengths', post('Content-Length: 1', 'Content-Length: 2'), 400, codec],
    ['the same length twice', post('Content-Length: 1', 'content-length: 1'), 400, codec],
    ['a list of lengths', post('Content-Length: 1, 1'), 400, codec],
    ['a length with a sign', post('Content-Length: +1'), 400, codec],
    ['a negative length', post('Content-Length: -1'), 400, codec],
    ['a hexadecimal length', post('Content-Length: 0x1'), 400, codec],
    ['a length with blanks inside', post('Content-Length: 1 2'), 400, codec],
    ['an empty length', post('Content-Length:'), 400, codec],
    ['a length beyond exact numbers', post('Content-Length: 9007199254740992'), 400, codec],
    ['a very long length', post(`Content-Length: ${'0'.repeat(17)}`), 400, codec],
    ['chunks twice', post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 501, 'http1.invalid_transfer_encoding'],
    ['another coding', post('Transfer-Encoding: gzip, chunked'), 501, 'http1.invalid_transfer_encoding'],
    [
      'identity with a length',
      post('Transfer-Encoding: identity', 'Content-Length: 3'),
      400,
      'http1.content_length_and_chunked_not_allowed',
    ],
    ['a tunnel with a length in two digits', 'CONNECT h:80 HTTP/1.1\r\nContent-Length: 00\r\n\r\n', 400, 'http1.body_disallowed'],
    [
      'a tunnel with length and chunks',
      'CONNECT h:80 HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n',
      501,
      'http1.invalid_transfer_encoding',
    ],
    ['a tunnel with a body', 'CONNECT h:80 HTTP/1.1\r\nContent-Length: 3\r\n\r\n', 400, 'http1.body_disallowed'],
    ['a tunnel in chunks', 'CONNECT h:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', 501, 'http1.invalid_transfer_encoding'],
    ['identity', post('Transfer-Encoding: identity'), 501, 'http1.invalid_transfer_encoding'],
    ['chunked with a parameter', post('Transfer-Encoding: chunked;a=b'), 501, 'http1.invalid_transfer_encoding'],
    ['chunked with an odd blank', post('Transfer-Encoding: \x0bchunked'), 400, control],
    ['an empty coding', post('Transfer-Encoding:'), 501, 'http1.invalid_transfer_encoding'],
    ['101 fields', head('GET / HTTP/1.1', ...Array.from({ length: 101 }, () => 'a: b')), 431, 'http1.too_many_headers'],
  ];
  for (const [name, text, status, details] of refused) {
    it(`refuses ${name}`, () => {
      expect(parseRequestHead(text)).to.include({ kind: 'reply', status, details });
    });
  }
});

describe('isHopeless', () => {
  for (const [text, expected] of [
    ['', false],
    ['GET', false],
    ['GET / HTTP/1.1\r', false],
    ['GET / HTTP/1.1\r\nHost', false],
    ['\r', false],
    ['\n', true],
    [' ', true],
    ['\x16\x03\x01', true],
    ['GET / HTTP/1.1\nHost', true],
  ] as const) {
    it(`says ${expected} of ${JSON.stringify(text)}`, () => {
      expect(isHopeless(text, true)).to.equal(expected);
    });
  }

  it('accepts a LF that follows a CR of the previous call', () => {
    expect(isHopeless('\nHost', false)).to.equal(false);
  });
});
