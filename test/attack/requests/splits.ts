/*
 * Messages in parts: one byte at a time, and cut at the places where parsers keep state.
 */
import { TOKEN } from '../../bench/support/demo-token.ts';
import { bytesOf, CHUNKED, get, HELLO_CHUNKS, HIDDEN, message, post, type Row, requests } from '../case.ts';

/** Two parts, cut behind the first occurrence of `before`. */
function cut(text: string, before: string): readonly string[] {
  const at = text.indexOf(before) + before.length;
  return [text.slice(0, at), text.slice(at)];
}

const SHORT = 'GET /admin HTTP/1.1\r\nHost: h\r\n\r\n';
const CHUNKED_POST = message('POST /p HTTP/1.1', ['Host: h', CHUNKED], '3;a\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n');
const PRIVATE = get('/private/x', `Authorization: Bearer ${TOKEN}`);

const ROWS: readonly Row[] = [
  ['denied request, every byte', bytesOf(SHORT)],
  ['request, every byte', bytesOf(get('/a/../b'))],
  ['chunked body, every byte', bytesOf(CHUNKED_POST)],
  ['body with a length, every byte', bytesOf(post('hello', 'Content-Length: 5'))],
  ['two requests, every byte', bytesOf(get('/a') + get('/b'))],
  ['CL.TE, every byte', bytesOf(post('0\r\n\r\n', 'Content-Length: 5', CHUNKED))],
  ['obs-fold, every byte', bytesOf(get('/', 'X: a', ' b'))],
  ['bare LF, every byte', bytesOf('GET / HTTP/1.1\nHost: h\n\n')],
  ['invalid method, every byte', bytesOf('BAD / HTTP/1.1\r\n\r\n')],
  ['empty lines before, every byte', bytesOf(`\r\n\r\n${get('/')}`)],
  ['upgrade, every byte', bytesOf(get('/', 'Connection: upgrade', 'Upgrade: websocket'))],
  ['Expect, every byte', bytesOf(post('hello', 'Content-Length: 5', 'Expect: 100-continue'))],
  ['last chunk without CRLF, every byte', bytesOf(post('0\r\nX', CHUNKED))],
  ['behind the method', cut(SHORT, 'GET')],
  ['inside the path', cut(SHORT, '/ad')],
  ['behind the version', cut(SHORT, 'HTTP/1.1')],
  ['between CR and LF', cut(SHORT, 'HTTP/1.1\r')],
  ['behind the request line', cut(SHORT, '\r\n')],
  ['inside Host', cut(SHORT, 'Ho')],
  ['behind the colon', cut(SHORT, 'Host:')],
  ['before the last CRLF', cut(SHORT, 'h\r\n')],
  ['before the last LF', cut(SHORT, 'h\r\n\r')],
  ['inside a token', cut(PRIVATE, 'Bearer eyJ')],
  ['before the body', cut(post('hello', 'Content-Length: 5'), '\r\n\r\n')],
  ['inside the body', cut(post('hello', 'Content-Length: 5'), 'hel')],
  ['before a chunk', cut(CHUNKED_POST, '\r\n\r\n')],
  ['inside a chunk size', cut(post(`0000${HELLO_CHUNKS}`, CHUNKED), '\r\n\r\n00')],
  ['inside a chunk extension', cut(CHUNKED_POST, '3;')],
  ['before the chunk data', cut(CHUNKED_POST, '3;a\r\n')],
  ['inside the chunk data', cut(CHUNKED_POST, '\r\nab')],
  ['behind the chunk data', cut(CHUNKED_POST, 'abc')],
  ['between CR and LF of a chunk', cut(CHUNKED_POST, 'abc\r')],
  ['before the last chunk', cut(CHUNKED_POST, 'de\r\n')],
  ['inside a trailer', cut(CHUNKED_POST, 'X:')],
  ['before the last CRLF of chunks', cut(CHUNKED_POST, 'X: y\r\n')],
  ['CR at the end of a part, then no LF', ['GET / HTTP/1.1\r', 'X-Block: 1\r\nHost: h\r\n\r\n']],
  ['chunk CR at the end of a part, then no LF', [post('5\r', CHUNKED), 'hello\r\n0\r\n\r\n']],
  ['space at the end of a part, then a fold', ['GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n', ' X-Block: 1\r\n\r\n']],
  ['hidden request in a part of its own', [post('', 'Content-Length: 5', CHUNKED), `0\r\n\r\n${HIDDEN}`]],
  ['body in the part of the next request', [post('hel', 'Content-Length: 5'), `lo${get('/b')}`]],
  [
    'head of 50 KB in ten parts',
    Array.from({ length: 11 }, (_, at) =>
      at === 0 ? 'GET / HTTP/1.1\r\nHost: h\r\n' : at < 10 ? `X-${at}: ${'y'.repeat(5000)}\r\n` : '\r\n',
    ),
  ],
  [
    'head of 70 KB in ten parts',
    Array.from({ length: 11 }, (_, at) =>
      at === 0 ? 'GET / HTTP/1.1\r\nHost: h\r\n' : at < 10 ? `X-${at}: ${'y'.repeat(7800)}\r\n` : '\r\n',
    ),
  ],
  [
    '200 fields in ten parts',
    Array.from({ length: 11 }, (_, at) =>
      at === 0
        ? 'GET / HTTP/1.1\r\nHost: h\r\n'
        : at < 10
          ? Array.from({ length: 22 }, (_, nth) => `X-${at}-${nth}: y\r\n`).join('')
          : '\r\n',
    ),
  ],
];

/** Messages in parts. */
export const SPLITS: ReturnType<typeof requests> = requests('parts', ROWS);
