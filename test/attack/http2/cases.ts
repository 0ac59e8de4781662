/*
 * Cases of the attack set over HTTP/2: what a client sends behind the preface and its settings.
 */
import {
  block,
  data,
  END,
  type Field,
  frame,
  headers,
  integer,
  OPEN,
  request,
  settings,
  TYPE,
  uint32,
} from '../../support/http2-frames.ts';

/** One case. The parts are sent one after the other, each when the proxy has read the one before. */
export interface Http2Case {
  readonly name: string;
  readonly parts: readonly Buffer[];
}

const POST = { method: 'POST' };
const one = (name: string, ...parts: readonly Buffer[]): Http2Case => ({ name, parts: [Buffer.concat(parts)] });
const frames = (count: number, bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));
const get = (...fields: readonly Field[]): Buffer => headers(1, request({}, ...fields));
const post = (...fields: readonly Field[]): Buffer => headers(1, request(POST, ...fields), OPEN);
const withBody = (name: string, ...fields: readonly Field[]): Http2Case => one(name, post(...fields), data(1, 'abc', true));
const pseudo = (...fields: readonly Field[]): Buffer => headers(1, fields);
const M: Field = [':method', 'GET'];
const S: Field = [':scheme', 'http'];
const P: Field = [':path', '/'];
const A: Field = [':authority', 'a.example'];

const PSEUDO: readonly Http2Case[] = [
  one('pseudo: all', pseudo(M, S, P, A)),
  one('pseudo: another order', pseudo(A, P, S, M)),
  one('pseudo: no method', pseudo(S, P, A)),
  one('pseudo: no scheme', pseudo(M, P, A)),
  one('pseudo: no path', pseudo(M, S, A)),
  one('pseudo: no authority', pseudo(M, S, P)),
  one('pseudo: host instead of authority', pseudo(M, S, P, ['host', 'b.example'])),
  one('pseudo: host and authority', get(['host', 'b.example'])),
  one('pseudo: host internal and authority', get(['host', 'internal'])),
  one('pseudo: authority internal and host', pseudo(M, S, P, [':authority', 'internal'], ['host', 'a.example'])),
  one('pseudo: two hosts', pseudo(M, S, P, ['host', 'a.example'], ['host', 'internal'])),
  one('pseudo: two hosts and authority', get(['host', 'a'], ['host', 'b'])),
  ...[M, S, P, A].map((field) => one(`pseudo: ${field[0]} twice`, pseudo(M, S, P, A, field))),
  one('pseudo: another path twice', pseudo(M, S, P, [':path', '/admin'], A)),
  one('pseudo: path behind a field', pseudo(M, S, A, ['x', '1'], P)),
  one('pseudo: unknown', pseudo(M, S, P, A, [':foo', 'x'])),
  one('pseudo: status', pseudo(M, S, P, A, [':status', '200'])),
  one('pseudo: empty name', pseudo(M, S, P, A, [':', 'x'])),
  one('pseudo: protocol with CONNECT', pseudo([':method', 'CONNECT'], S, P, A, [':protocol', 'websocket'])),
  one('pseudo: protocol with GET', pseudo(M, S, P, A, [':protocol', 'websocket'])),
  one('pseudo: upper case', pseudo([':Method', 'GET'], S, P, A)),
];

const protocol = (value: string, ...fields: readonly Field[]): readonly Field[] => [
  ...request({ method: 'CONNECT', path: '/chat' }),
  [':protocol', value],
  ...fields,
];
const tunnel = (name: string, fields: readonly Field[], ...more: readonly Buffer[]): Http2Case =>
  one(`protocol: ${name}`, headers(1, fields, OPEN), ...more);
const PROTOCOL_CASES: readonly Http2Case[] = [
  ...['h2c', 'bytestream', 'connect-udp', '', 'web socket', 'websocket, h2c', ' websocket', '\xe9'].map((value) =>
    tunnel(JSON.stringify(value), protocol(value)),
  ),
  tunnel('denied path', [...request({ method: 'CONNECT', path: '/admin' }), [':protocol', 'websocket']]),
  tunnel('denied path, normalized', [...request({ method: 'CONNECT', path: '/x/../admin' }), [':protocol', 'websocket']]),
  tunnel('denied host', [...request({ method: 'CONNECT', path: '/', authority: 'internal' }), [':protocol', 'websocket']]),
  tunnel('denied field', protocol('websocket', ['x-block', '1'])),
  tunnel('denied field, data before the verdict', protocol('websocket', ['x-block', '1']), data(1, 'GET /admin HTTP/1.1\r\n\r\n')),
  tunnel('upgrade', protocol('websocket', ['upgrade', 'websocket'])),
  tunnel('connection', protocol('websocket', ['connection', 'upgrade'])),
  tunnel('twice', protocol('websocket', [':protocol', 'websocket'])),
  ...[':scheme', ':path', ':authority'].map((name) =>
    tunnel(
      `no ${name}`,
      protocol('websocket').filter(([field]) => field !== name),
    ),
  ),
  tunnel(
    'host instead of authority',
    protocol('websocket', ['host', 'a']).filter(([field]) => field !== ':authority'),
  ),
  ...[0, 1, 2].map((value) => one(`protocol: setting ${value}`, settings([8, value]), headers(1, request()))),
  tunnel('path without slash', [...request({ method: 'CONNECT', path: 'chat' }), [':protocol', 'websocket']]),
  tunnel('path *', [...request({ method: 'CONNECT', path: '*' }), [':protocol', 'websocket']]),
];

const METHODS = [
  'GET',
  'HEAD',
  'get',
  'FOO',
  'PRI',
  'G T',
  '',
  'G\tT',
  'G\0T',
  'GE\x80T',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'G,T',
  'G/T',
  'A'.repeat(300),
];
const METHOD_CASES = METHODS.map((method) => one(`method: ${JSON.stringify(method.slice(0, 20))}`, headers(1, request({ method }))));

const PATHS = [
  '/admin',
  '/admin/',
  '//admin',
  '/./admin',
  '/x/../admin',
  '/%61dmin',
  '/admin?x',
  '/admin#x',
  '/a#/../admin',
  '/admin%00',
  '/adm\0in',
  '/a b',
  '/a\tb',
  '/a\x01',
  '/a\x7f',
  '/a\xe9',
  '/\xff',
  '',
  'a',
  '*',
  'http://a/admin',
  '/private/x',
  '/x/..;/admin',
  '/x%2f..%2fadmin',
  '/a\\b',
  '/\\admin',
  '/a%',
  '/a%zz',
  '/?a b',
  '/?a\xe9',
  '/a"b<>',
];
const PATH_CASES = PATHS.map((path) => one(`path: ${JSON.stringify(path)}`, headers(1, request({ path }))));

const AUTHORITIES = [
  'internal',
  'INTERNAL',
  'internal:80',
  'a:80',
  '',
  'a/b',
  'u@a',
  'a b',
  'a,b',
  '[::1]:80',
  'a\\b',
  'a?b',
  'a#b',
  'a\xe9',
  'a%41',
  'a_b',
  'a"b',
  'a;b',
  'a~b',
  "a'b",
  'a|b',
  'a{b',
];
const AUTHORITY_CASES = AUTHORITIES.map((authority) => one(`authority: ${JSON.stringify(authority)}`, headers(1, request({ authority }))));
const HOST_CASES = AUTHORITIES.map((host) => one(`host: ${JSON.stringify(host)}`, pseudo(M, S, P, ['host', host])));
const SCHEME_CASES = ['https', 'HTTP', 'ftp', '', '1x', 'a b', 'http:', 'x+y-z.1', '\xe9'].map((scheme) =>
  one(`scheme: ${JSON.stringify(scheme)}`, headers(1, request({ scheme }))),
);

const FIELDS: readonly Field[] = [
  ['X-A', '1'],
  ['x-block', '1'],
  ['X-Block', '1'],
  ['x-block ', '1'],
  [' x-block', '1'],
  ['x_block', '1'],
  ['connection', 'close'],
  ['connection', 'x-block'],
  ['keep-alive', '1'],
  ['proxy-connection', 'close'],
  ['upgrade', 'websocket'],
  ['upgrade', 'h2c'],
  ['transfer-encoding', 'chunked'],
  ['transfer-encoding', ''],
  ['transfer-encoding', 'identity'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['te', 'Trailers'],
  ['te', ''],
  ['te', 'trailers, gzip'],
  ['http2-settings', 'x'],
  ['', 'a'],
  ['a b', 'a'],
  ['a:b', 'a'],
  ['a\tb', 'a'],
  ['a\xe9', 'a'],
  ['a"b', 'a'],
  ['a(b', 'a'],
  ['a\0b', 'a'],
  ['a\nb', 'a'],
  ['x', 'a\nb'],
  ['x', 'a\rb'],
  ['x', 'a\r\nx-block: 1'],
  ['x', 'a\0b'],
  ['x', 'a\x01b'],
  ['x', 'a\x7fb'],
  ['x', 'a\tb'],
  ['x', 'a\xffb'],
  ['x', ' a '],
  ['x', '\ta'],
  ['x', ''],
  ['expect', '100-continue'],
  ['expect', 'x'],
  ['trailer', 'x-t'],
  ['content-type', 'application/grpc'],
  ['x-forwarded-for', '1.2.3.4'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-proto', ''],
  ['x-request-id', 'mine'],
  ['x-request-id', ''],
  ['x-envoy-internal', 'true'],
  ['x-forwarded-client-cert', 'URI=spiffe://a'],
  ['authorization', 'Bearer x.y.z'],
  ['referer', 'nonsense'],
  ['x-envoy-upstream-rq-timeout-ms', '1'],
  ['grpc-timeout', '1H'],
  ['origin', 'a'],
  ['range', 'bytes=0-1'],
  ['via', '1.1 a'],
  ['server', 'x'],
  ['date', 'x'],
];
const FIELD_CASES = FIELDS.map(([name, value]) => one(`field: ${JSON.stringify([name, value])}`, get([name, value])));

const LENGTHS: readonly Http2Case[] = [
  withBody('length: right', ['content-length', '3']),
  withBody('length: absent'),
  withBody('length: short', ['content-length', '2']),
  withBody('length: long', ['content-length', '5']),
  withBody('length: zero', ['content-length', '0']),
  withBody('length: twice', ['content-length', '3'], ['content-length', '3']),
  withBody('length: two', ['content-length', '3'], ['content-length', '4']),
  ...['+3', '-3', '', '3,3', '0x3', '3.0', '03', ' 3', '3 ', 'abc', '99999999999999999999'].map((value) =>
    withBody(`length: ${JSON.stringify(value)}`, ['content-length', value]),
  ),
  one('length: without a body', headers(1, request(POST, ['content-length', '3']))),
  one('length: zero without a body', headers(1, request(POST, ['content-length', '0']))),
  one('length: body of GET', headers(1, request(), OPEN), data(1, 'abc', true)),
  one('length: body of HEAD', headers(1, request({ method: 'HEAD' }), OPEN), data(1, 'abc', true)),
  one('length: request of HTTP/1.1 as body', post(), data(1, 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n', true)),
  one('length: chunks as body', post(), data(1, '0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n', true)),
  one('length: 0 and a hidden request', post(['content-length', '0']), data(1, 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n', true)),
  one('length: empty DATA', post(), data(1, '', true)),
  one('length: body to a denied path', headers(1, request({ method: 'POST', path: '/admin' }), OPEN), data(1, 'abc', true)),
];

const trailers = (name: string, ...fields: readonly Field[]): Http2Case =>
  one(`trailers: ${name}`, post(), data(1, 'abc'), frame(TYPE.headers, END, 1, block(fields)));
const TRAILERS: readonly Http2Case[] = [
  trailers('a field', ['x-t', '1']),
  trailers('a field that is denied', ['x-block', '1']),
  trailers('none'),
  trailers('a pseudo-header field', [':path', '/admin']),
  trailers('upper case', ['X-T', '1']),
  trailers('content-length', ['content-length', '3']),
  trailers('transfer-encoding', ['transfer-encoding', 'chunked']),
  trailers('connection', ['connection', 'close']),
  trailers('host', ['host', 'internal']),
  trailers('te', ['te', 'trailers']),
  trailers('authorization', ['authorization', 'x']),
  trailers('a line break', ['x', 'a\r\nx-block: 1']),
  one('trailers: without the end', post(), data(1, 'abc'), frame(TYPE.headers, OPEN, 1, block([['x-t', '1']]))),
  one('trailers: without a body', post(), frame(TYPE.headers, END, 1, block([['x-t', '1']]))),
  one('trailers: twice', post(), data(1, 'abc'), headers(1, [['x-t', '1']], OPEN), headers(1, [['x-t', '1']])),
  one('trailers: behind a length that is not reached', post(['content-length', '5']), data(1, 'abc'), headers(1, [['x-t', '1']])),
];

const cookie = (...values: readonly string[]): readonly Field[] => values.map((value) => ['cookie', value] as const);
const REPEATED: readonly Http2Case[] = [
  one('repeated: cookies', get(...cookie('a=1', 'b=2'))),
  one('repeated: cookies around another field', get(['cookie', 'a=1'], ['x', '1'], ['cookie', 'b=2'])),
  one('repeated: empty cookies', get(...cookie('', 'a=1', ''))),
  one('repeated: x', get(['x', '1'], ['x', '2'])),
  one('repeated: authorization', get(['authorization', 'a'], ['authorization', 'b'])),
  one('repeated: te', get(['te', 'trailers'], ['te', 'trailers'])),
  one('repeated: content-type', get(['content-type', 'a/b'], ['content-type', 'application/grpc'])),
  one('repeated: x-forwarded-for', get(['x-forwarded-for', '1.1.1.1'], ['x-forwarded-for', '2.2.2.2'])),
];

const many = (count: number): Buffer => get(...Array.from({ length: count }, (_, nth) => [`x${nth}`, '1'] as const));
const SIZES: readonly Http2Case[] = [
  ...[95, 96, 97, 100, 101, 150].map((count) => one(`size: ${count} fields`, many(count))),
  ...[15_000, 30_000, 60_000, 61_000, 61_500, 63_000, 90_000].map((size) => {
    const bytes = block(request({}, ['x', 'a'.repeat(size)]));
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_000) {
      const end = Math.min(bytes.length, at + 16_000);
      parts.push(
        frame(at === 0 ? TYPE.headers : TYPE.continuation, (at === 0 ? 1 : 0) | (end === bytes.length ? 4 : 0), 1, bytes.subarray(at, end)),
      );
    }
    return one(`size: ${size} bytes`, ...parts);
  }),
];

const half = block(request());
const FRAMES: readonly Http2Case[] = [
  { name: 'frames: HEADERS in two reads', parts: [get().subarray(0, 20), get().subarray(20)] },
  { name: 'frames: HEADERS byte by byte', parts: [...get()].map((byte) => Buffer.from([byte])) },
  one('frames: CONTINUATION', frame(TYPE.headers, 1, 1, half.subarray(0, 10)), frame(TYPE.continuation, 4, 1, half.subarray(10))),
  one(
    'frames: CONTINUATION of one byte each',
    frame(TYPE.headers, 1, 1),
    ...[...half].map((byte) => frame(TYPE.continuation, 0, 1, Buffer.from([byte]))),
    frame(TYPE.continuation, 4, 1),
  ),
  one('frames: padded HEADERS', frame(TYPE.headers, END | 8, 1, Buffer.concat([Buffer.from([3]), half, Buffer.alloc(3)]))),
  one('frames: padding longer than HEADERS', frame(TYPE.headers, END | 8, 1, Buffer.concat([Buffer.from([255]), half]))),
  one('frames: HEADERS with a priority', frame(TYPE.headers, END | 0x20, 1, Buffer.concat([Buffer.from([0, 0, 0, 0, 15]), half]))),
  one(
    'frames: HEADERS that depend on themselves',
    frame(TYPE.headers, END | 0x20, 1, Buffer.concat([Buffer.from([0, 0, 0, 1, 15]), half])),
  ),
  one('frames: padded DATA', post(), frame(TYPE.data, 9, 1, Buffer.from('\x02abc..', 'latin1'))),
  one('frames: padding longer than DATA', post(), frame(TYPE.data, 9, 1, Buffer.from('\x09abc', 'latin1'))),
  one('frames: padding as long as DATA', post(), frame(TYPE.data, 9, 1, Buffer.from('\x03...', 'latin1'))),
  one('frames: unknown type', frame(0xee, 0xff, 1), get()),
  one('frames: unknown flags', frame(TYPE.headers, 0xd2 | END, 1, half)),
  one('frames: reserved bit of a stream', Buffer.concat([get().subarray(0, 5), Buffer.from([0x80]), get().subarray(6)])),
  one('frames: even stream', headers(2, request())),
  one('frames: stream 0', headers(0, request())),
  one('frames: DATA of an idle stream', data(1, 'a', true)),
  one('frames: WINDOW_UPDATE of an idle stream', frame(TYPE.window, 0, 1, uint32(1))),
  one('frames: RST_STREAM of an idle stream', frame(TYPE.rst, 0, 1, uint32(8))),
  one('frames: RST_STREAM of a request', post(), frame(TYPE.rst, 0, 1, uint32(8))),
  one('frames: RST_STREAM of four bytes too many', post(), frame(TYPE.rst, 0, 1, Buffer.alloc(8))),
  one('frames: PRIORITY', frame(TYPE.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1])), get()),
  one('frames: 5,000 PING frames', frames(5000, frame(TYPE.ping, 0, 0, Buffer.alloc(8))), get()),
  one('frames: PRIORITY that depends on itself', frame(TYPE.priority, 0, 1, Buffer.from([0, 0, 0, 1, 1])), get()),
  one('frames: PUSH_PROMISE', frame(TYPE.push, 4, 1, Buffer.concat([uint32(2), half]))),
  one('frames: PING of seven bytes', frame(TYPE.ping, 0, 0, Buffer.alloc(7)), get()),
  one('frames: PING of a stream', frame(TYPE.ping, 0, 1, Buffer.alloc(8)), get()),
  one('frames: SETTINGS of a stream', frame(TYPE.settings, 0, 1), get()),
  one('frames: SETTINGS of five bytes', frame(TYPE.settings, 0, 0, Buffer.alloc(5)), get()),
  one('frames: SETTINGS acknowledgement with bytes', frame(TYPE.settings, 1, 0, Buffer.alloc(6)), get()),
  one('frames: unknown setting', settings([0xee, 1]), get()),
  one('frames: push of 2', settings([2, 2]), get()),
  one('frames: window of 2^31', settings([4, 0x8000_0000]), get()),
  one('frames: frame size of 16,383', settings([5, 16_383]), get()),
  one('frames: header table of 0', settings([1, 0]), get()),
  one('frames: WINDOW_UPDATE by 0', frame(TYPE.window, 0, 0, uint32(0)), get()),
  one('frames: window above 2^31-1', frame(TYPE.window, 0, 0, uint32(0x7fff_ffff)), get()),
  one('frames: HEADERS of 16,385 bytes', frame(TYPE.headers, END, 1, Buffer.alloc(16_385))),
  one('frames: DATA of 16,385 bytes', post(), frame(TYPE.data, 1, 1, Buffer.alloc(16_385))),
  one(
    'frames: PING within a header block',
    frame(TYPE.headers, 1, 1, half),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
    frame(TYPE.continuation, 4, 1),
  ),
  one('frames: CONTINUATION of another stream', frame(TYPE.headers, 1, 1, half), frame(TYPE.continuation, 4, 3)),
  one('frames: CONTINUATION alone', frame(TYPE.continuation, 4, 1, half)),
  one('frames: DATA behind the end', post(), data(1, 'abc', true), data(1, 'GET /admin', true)),
  one('frames: HEADERS behind the end', get(), get()),
  one('frames: GOAWAY', frame(TYPE.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)])), get()),
  one('frames: GOAWAY of four bytes', frame(TYPE.goaway, 0, 0, uint32(0)), get()),
  one('frames: two empty DATA frames', post(), data(1, ''), data(1, ''), data(1, 'abc', true)),
  one('frames: one empty DATA frame', post(), data(1, ''), data(1, 'abc', true)),
  one('frames: unfinished', get().subarray(0, 30)),
];

const literal = (pattern: number, name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([pattern]), integer(0, 7, name.length), Buffer.from(name), integer(0, 7, value.length), Buffer.from(value)]);
const PLAIN = block([M, S, P, A]);
const hpack = (name: string, ...parts: readonly Buffer[]): Http2Case =>
  one(`hpack: ${name}`, frame(TYPE.headers, END, 1, Buffer.concat(parts)));
const HPACK: readonly Http2Case[] = [
  hpack('indexed fields', Buffer.from([0x82, 0x86, 0x84]), block([A])),
  hpack('incremental indexing', PLAIN, literal(0x40, 'x', '1'), Buffer.from([0xbe])),
  hpack('never indexed', PLAIN, literal(0x10, 'x', '1')),
  hpack('x-block by the dynamic table', PLAIN, literal(0x40, 'x-block', '1'), Buffer.from([0xbe])),
  hpack('path of the static table, then /admin', Buffer.from([0x82, 0x86, 0x84]), block([[':path', '/admin'], A])),
  hpack('index 0', PLAIN, Buffer.from([0x80])),
  hpack('index behind the tables', PLAIN, Buffer.from([0xff, 0x00])),
  hpack('integer without end', PLAIN, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
  hpack('string longer than the block', PLAIN, Buffer.from([0x00, 0x01, 0x78, 0x7f, 0x01])),
  hpack('Huffman padding of eight bits', PLAIN, Buffer.from([0x00, 0x01, 0x78, 0x82, 0x1f, 0xff])),
  hpack('Huffman padding of zeros', PLAIN, Buffer.from([0x00, 0x01, 0x78, 0x81, 0x18])),
  hpack('Huffman end of string', PLAIN, Buffer.from([0x00, 0x01, 0x78, 0x84, 0xff, 0xff, 0xff, 0xfc])),
  hpack('Huffman-coded upper case name', PLAIN, Buffer.from([0x00, 0x81, 0xfc, 0x01, 0x31])),
  hpack('size update to 0', Buffer.from([0x20]), PLAIN),
  hpack('size update to 4096', Buffer.from([0x3f, 0xe1, 0x1f]), PLAIN),
  hpack('size update to 4097', Buffer.from([0x3f, 0xe2, 0x1f]), PLAIN),
  hpack('size update behind a field', PLAIN, Buffer.from([0x20])),
  hpack('empty block'),
  hpack('entry larger than the table', PLAIN, literal(0x40, 'x', 'v'.repeat(5000)), literal(0, 'y', '1')),
];

/** Every case. */
export const HTTP2_CASES: readonly Http2Case[] = [
  ...PSEUDO,
  ...PROTOCOL_CASES,
  ...METHOD_CASES,
  ...PATH_CASES,
  ...AUTHORITY_CASES,
  ...HOST_CASES,
  ...SCHEME_CASES,
  ...FIELD_CASES,
  ...LENGTHS,
  ...TRAILERS,
  ...REPEATED,
  ...SIZES,
  ...FRAMES,
  ...HPACK,
];
