/*
 * Response bodies: framing, statuses and methods without a body, connections that end early, bytes behind the response.
 */
import {
  type AnswerCase,
  type AnswerRow,
  answers,
  bytesOf,
  CHUNKED,
  CRLF,
  get,
  HELLO_CHUNKS,
  message,
  ok,
  post,
  type Step,
  shown,
} from '../case.ts';

type Rows = readonly AnswerRow[];
const FIVE = 'Content-Length: 5';
const EVIL = ok(['Content-Length: 4', 'X-Seen: GET /evil'], 'evil');
const ended = (...steps: readonly Step[]): readonly Step[] => [...steps, 'FIN'];

const LENGTHS: Rows = [
  ...[
    '+5',
    '-5',
    '0x5',
    '05',
    '5,5',
    '5, 5',
    '5,6',
    '5 5',
    '5.0',
    '',
    'a',
    '5\x0b',
    '18446744073709551621',
    '99999999999999999999',
    '9007199254740993',
  ].map((text): readonly [string, readonly Step[]] => [`"${shown(text)}"`, ended(ok([`Content-Length: ${text}`], 'hello'))]),
  ['plain', ok([FIVE], 'hello')],
  ['in two parts', [ok([FIVE], 'he'), 'llo']],
  ['head in two parts', ['HTTP/1.1 200 OK\r\nContent-', 'Length: 5\r\n\r\nhello']],
  ['every byte of the head', [...bytesOf('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'), 'hello']],
  ['twice, equal', ok([FIVE, FIVE], 'hello')],
  ['twice, different', ended(ok([FIVE, 'Content-Length: 6'], 'hello!'))],
  ['with an encoding', ended(ok([FIVE, CHUNKED], HELLO_CHUNKS))],
  ['with an encoding, encoding first', ended(ok([CHUNKED, FIVE], HELLO_CHUNKS))],
  ['with identity', ended(ok([FIVE, 'Transfer-Encoding: identity'], 'hello'))],
  ['space before the colon', ended(ok(['Content-Length : 5'], 'hello'))],
  ['1 MB', ok(['Content-Length: 1000000'], 'x'.repeat(1_000_000))],
  ['none, until the end', ended(ok([], 'hello'))],
  ['none, empty until the end', ended(ok([]))],
  ['none, Connection: close', ended(ok(['Connection: close'], 'hello'))],
  ['none, until a reset', [ok([], 'hello'), 'RST']],
  ['HTTP/1.0 until the end', ended(message('HTTP/1.0 200 OK', [], 'hello'))],
  ['HTTP/1.0 with a length', ended(message('HTTP/1.0 200 OK', [FIVE], 'hello'))],
  ['HTTP/1.0 with a length and keep-alive', message('HTTP/1.0 200 OK', [FIVE, 'Connection: keep-alive'], 'hello')],
  ['HTTP/1.0 with chunks', ended(message('HTTP/1.0 200 OK', [CHUNKED], HELLO_CHUNKS))],
];

const ENCODINGS: Rows = [
  ...[
    'gzip, chunked',
    'chunked, gzip',
    'gzip',
    'identity',
    'chunked, chunked',
    'CHUNKED',
    'xchunked',
    'chunked;q=1',
    '"chunked"',
    'chunked,',
    '',
    '\x0bchunked',
  ].map((text): readonly [string, readonly Step[]] => [`"${shown(text)}"`, ended(ok([`Transfer-Encoding: ${text}`], HELLO_CHUNKS))]),
  ['twice', ended(ok([CHUNKED, CHUNKED], HELLO_CHUNKS))],
  ['space before the colon', ended(ok(['Transfer-Encoding : chunked'], HELLO_CHUNKS))],
  ['folded', ended(ok(['Transfer-Encoding:', ' chunked'], HELLO_CHUNKS))],
];

const CHUNKS: Rows = (
  [
    ['plain', HELLO_CHUNKS],
    ['extension', '5;a=b\r\nhello\r\n0\r\n\r\n'],
    ['extension with a bare LF', '5;a\nhello\r\n0\r\n\r\n'],
    ['extension with CR', '5;\rX\r\nhello\r\n0\r\n\r\n'],
    ['extension of 20 KB', `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
    ['size zz', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['size -5', '-5\r\nhello\r\n0\r\n\r\n'],
    ['size +5', '+5\r\nhello\r\n0\r\n\r\n'],
    ['size with a space', '5 \r\nhello\r\n0\r\n\r\n'],
    ['space before the size', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['size 0x5', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['size 2^64 + 5', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['16 times f', 'ffffffffffffffff\r\nhello'],
    ['leading zeros', '00005\r\nhello\r\n00\r\n\r\n'],
    ['empty size', '\r\nhello\r\n0\r\n\r\n'],
    ['LF behind the size', '5\nhello\r\n0\r\n\r\n'],
    ['LF behind the data', '5\r\nhello\n0\r\n\r\n'],
    ['longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
    ['last chunk with an extension', '5\r\nhello\r\n0;x\r\n\r\n'],
    ['last chunk only', '0\r\n\r\n'],
    ['trailer', '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n'],
    ['trailer Set-Cookie', '5\r\nhello\r\n0\r\nSet-Cookie: evil=1\r\n\r\n'],
    ['trailer Content-Length', '5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n'],
    ['trailer Transfer-Encoding', '5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n'],
    ['trailer without colon', '5\r\nhello\r\n0\r\nbad trailer\r\n\r\n'],
    ['trailer with NUL', '5\r\nhello\r\n0\r\nX: \0\r\n\r\n'],
    ['trailer with a bare LF', '5\r\nhello\r\n0\r\nX: y\n\r\n'],
    ['trailer folded', '5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n'],
    ['trailer of 100 KB', `5\r\nhello\r\n0\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`],
    ['1,000 chunks', `${'1\r\nx\r\n'.repeat(1000)}0\r\n\r\n`],
  ] as const
).map(([name, body]) => [name, ended(ok([CHUNKED], body))]);

const NO_BODY: Rows = [
  ['204', message('HTTP/1.1 204 No Content', [])],
  ['204 with a length', message('HTTP/1.1 204 No Content', [FIVE])],
  ['204 with a length and a body', message('HTTP/1.1 204 No Content', [FIVE], 'hello')],
  ['204 with a length of 0', message('HTTP/1.1 204 No Content', ['Content-Length: 0'])],
  ['204 with an encoding', message('HTTP/1.1 204 No Content', [CHUNKED])],
  ['204 with chunks', message('HTTP/1.1 204 No Content', [CHUNKED], HELLO_CHUNKS)],
  ['204 with a hidden response', message('HTTP/1.1 204 No Content', [], EVIL)],
  ['205', message('HTTP/1.1 205 Reset Content', ['Content-Length: 0'])],
  ['205 with a length', message('HTTP/1.1 205 Reset Content', [FIVE], 'hello')],
  ['205 without framing', ended(message('HTTP/1.1 205 Reset Content', []))],
  ['205 with chunks', message('HTTP/1.1 205 Reset Content', [CHUNKED], HELLO_CHUNKS)],
  ['304', message('HTTP/1.1 304 Not Modified', [])],
  ['304 with a length', message('HTTP/1.1 304 Not Modified', [FIVE])],
  ['304 with a length and a body', message('HTTP/1.1 304 Not Modified', [FIVE], 'hello')],
  ['304 with an encoding', message('HTTP/1.1 304 Not Modified', [CHUNKED])],
  ['304 with fields', message('HTTP/1.1 304 Not Modified', ['ETag: "a"', 'Cache-Control: max-age=1'])],
];

const HEAD = message('HEAD /r HTTP/1.1', ['Host: h']);
const HEADS: Rows = [
  ['length', ok([FIVE])],
  ['length and a body', ok([FIVE], 'hello')],
  ['encoding', ok([CHUNKED])],
  ['encoding and chunks', ok([CHUNKED], HELLO_CHUNKS)],
  ['neither', ok([])],
  ['neither, then the end', ended(ok([]))],
  ['204', message('HTTP/1.1 204 No Content', [])],
  ['404 with a length', message('HTTP/1.1 404 Not Found', [FIVE])],
  ['both', ended(ok([FIVE, CHUNKED]))],
  ['a hidden response', ok([FIVE], EVIL)],
];

const ENDS: Rows = [
  ['end without a byte', ['FIN']],
  ['reset without a byte', ['RST']],
  ['end in the status line', ended('HTTP/1.1 20')],
  ['end in a field', ended('HTTP/1.1 200 OK\r\nX: ')],
  ['end before the last CRLF', ended('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n')],
  ['reset in a field', ['HTTP/1.1 200 OK\r\nX: ', 'RST']],
  ['end behind the head', ended(ok([FIVE]))],
  ['reset behind the head', [ok([FIVE]), 'RST']],
  ['end in the body', ended(ok(['Content-Length: 50'], 'hello'))],
  ['reset in the body', [ok(['Content-Length: 50'], 'hello'), 'RST']],
  ['end in a chunk', ended(ok([CHUNKED], '9\r\nhello'))],
  ['end behind a chunk', ended(ok([CHUNKED], '5\r\nhello\r\n'))],
  ['end before the last CRLF of chunks', ended(ok([CHUNKED], '5\r\nhello\r\n0\r\n'))],
  ['reset in a chunk', [ok([CHUNKED], '9\r\nhello'), 'RST']],
  ['end in a trailer', ended(ok([CHUNKED], '5\r\nhello\r\n0\r\nX: '))],
  ['end behind the body', ended(ok([FIVE], 'hello'))],
  ['reset behind the body', [ok([FIVE], 'hello'), 'RST']],
  ['head, body and end in parts', [ok([FIVE]), 'hello', 'FIN']],
];

const BEHIND: Rows = [
  ['a response', ok([FIVE], `hello${EVIL}`)],
  ['a response in a part of its own', [ok([FIVE], 'hello'), EVIL]],
  ['a response behind chunks', ok([CHUNKED], HELLO_CHUNKS + EVIL)],
  ['CRLF', ok([FIVE], `hello${CRLF}`)],
  ['bytes', ok([FIVE], 'helloXX')],
  ['bytes behind Connection: close', ok([FIVE, 'Connection: close'], 'helloXX')],
  ['a response behind length 0', ok(['Content-Length: 0'], EVIL)],
  ['a response behind 304', message('HTTP/1.1 304 Not Modified', [], EVIL)],
  ['half a response', ok([FIVE], 'helloHTTP/1.1 200 OK\r\nX: ')],
  ['Connection: close, without an end', ok([FIVE, 'Connection: close'], 'hello')],
];

const UPLOAD = post('hello', 'Content-Length: 1000');
const EXPECTING = post('', 'Content-Length: 1000', 'Expect: 100-continue');
const EARLY: Rows = [
  ['200', ok([FIVE], 'hello')],
  ['413', message('HTTP/1.1 413 x', [FIVE], 'large')],
  ['413, then the end', ended(message('HTTP/1.1 413 x', [FIVE, 'Connection: close'], 'large'))],
  ['401 with chunks', message('HTTP/1.1 401 x', [CHUNKED], HELLO_CHUNKS)],
  ['204', message('HTTP/1.1 204 x', [])],
  ['reset', ['RST']],
  ['end', ['FIN']],
  ['until the end', ended(ok([], 'hello'))],
];
const EXPECTED: Rows = [
  ['100, then 200', `HTTP/1.1 100 Continue\r\n\r\n${ok([FIVE], 'hello')}`],
  ['417', message('HTTP/1.1 417 x', [FIVE], 'never')],
  ['200', ok([FIVE], 'hello')],
  ['100 twice', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2)],
  ['100 with fields', message('HTTP/1.1 100 Continue', ['X: y'])],
  ['103', message('HTTP/1.1 103 Early Hints', ['Link: x'])],
  ['end', ['FIN']],
];
const POST = message('POST /r HTTP/1.1', ['Host: h', FIVE], 'hello');

/** Response bodies. */
export const ANSWER_BODIES: readonly AnswerCase[] = [
  ...answers('answer: length', LENGTHS),
  ...answers('answer: encoding', ENCODINGS),
  ...answers('answer: chunk', CHUNKS),
  ...answers('answer: no body', NO_BODY),
  ...answers('answer: to HEAD', HEADS, HEAD),
  ...answers('answer: end', ENDS),
  ...answers('answer: end, to POST', ENDS, POST),
  ...answers('answer: bytes behind', BEHIND),
  ...answers('answer: early', EARLY, UPLOAD),
  ...answers('answer: to Expect', EXPECTED, EXPECTING),
  ...answers('answer: to a private path without token', [['never asked', EVIL]], get('/private/x')),
];
