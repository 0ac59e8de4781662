/*
 * Differences from Envoy in the request cases.
 */
import { type Difference, of } from './difference.ts';

/** All of them; a case that is not listed does the same at both. */
export const REQUEST_DIFFERENCES: readonly Difference[] = [
  {
    cases: [
      ...of(
        'request line',
        'GET  / HTTP/1.1',
        'GET /  HTTP/1.1',
        'GET\\t/\\tHTTP/1.1',
        'GET\\t/ HTTP/1.1',
        'GET /\\tHTTP/1.1',
        'GET / HTTP/1.1 ',
        'GET / HTTP/1.1\\t',
        'bare LF behind the line',
        'CR CR LF behind the line',
        'bare LF everywhere',
        'bare LF before',
        'bare CR before',
        'LF CR before',
      ),
      ...of('host', 'folded', 'hidden behind a bare LF', 'hidden behind a bare CR'),
      ...of(
        'field syntax',
        'X: a\\nX-Block: 1',
        'X: a\\rX-Block: 1',
        'X: a\\r\\n b',
        'X: a\\r\\n\\tb',
        'X: a\\r\\n  X-Block: 1',
        'X:\\r\\n a',
      ),
      ...of('field size', 'folded line of 50 KB'),
      ...of('end of head', 'LF LF', 'CRLF LF', 'LF CRLF', 'whitespace in the last line, then a field'),
      ...of('encoding', 'Transfer-Encoding:\\r\\n chunked', 'X: y\\nTransfer-Encoding: chunked'),
      ...of('encoding with a length', 'X: y\\r\\n Transfer-Encoding: chunked'),
      ...of('length', 'folded', 'behind a bare LF', 'behind a bare CR'),
      ...of(
        'chunk',
        'space behind',
        'tab behind',
        'LF behind the data',
        'spaces behind the data',
        'longer than its size',
        'shorter than its size',
      ),
      ...of('trailer', 'bare LF', 'bare CR', 'folded'),
      ...of('token', 'folded'),
      ...of('parts', 'obs-fold, every byte', 'bare LF, every byte', 'space at the end of a part, then a fold'),
    ],
    differs: ['status', 'connection', 'application'],
    why: 'Folded lines, bare CR or LF, extra whitespace, chunks longer than their size: the agent refuses, Envoy repairs.',
    documented: 'http1-strict-syntax',
  },
  {
    cases: [...of('request line', 'GET / '), ...of('path', '/a\\nb'), ...of('encoding', 'Transfer-Encoding: chunked\\r\\n , identity')],
    differs: ['status'],
    why: 'Both refuse; the agent finds the fault of the syntax first.',
    documented: 'http1-strict-syntax',
  },
  {
    cases: [...of('version', 'HTTP/2 preface', 'HTTP/2 preface with SETTINGS', 'HTTP/2 preface and a hidden request')],
    differs: ['status', 'connection'],
    why: 'Envoy detects HTTP/2 by its preface; the agent speaks HTTP/1.1 only and refuses the first line.',
    documented: 'http1-only',
  },
  {
    cases: [...of('unfinished', 'NUL in the middle')],
    differs: ['status', 'connection'],
    why: 'The agent refuses a head as soon as it cannot become valid; Envoy waits for its end.',
    documented: 'http1-strict-syntax',
  },
  {
    cases: [
      ...of(
        'encoding',
        'Transfer-Encoding:\\tchunked',
        'Transfer-Encoding:chunked',
        'Transfer-Encoding: CHUNKED',
        'Transfer-Encoding: ChUnKeD ',
        'transfer-encoding: chunked',
        'TRANSFER-ENCODING: chunked',
      ),
      ...of('length', 'underscore in the name', '0 with a body', 'missing with a body'),
      ...of('upgrade', 'h2c and a hidden request'),
      ...of(
        'pipeline',
        'a denied one inside',
        'tokens of the first do not help the second',
        'hosts differ the other way',
        'a request in parts behind another',
      ),
    ],
    differs: ['status', 'connection', 'application'],
    why: 'Envoy closes the connection behind a denied request that is not the first in its buffer; the agent evaluates the next one on its own.',
    unread: true,
    documented: 'wire-pipelining',
  },
  {
    cases: [
      ...of('encoding', 'X: y\\r\\n Transfer-Encoding: chunked', 'Transfer-Encoding: chun\\rked', 'X: y\\rTransfer-Encoding: chunked'),
    ],
    differs: ['status', 'application'],
    why: 'Folded lines, bare CR or LF, extra whitespace, chunks longer than their size: the agent refuses, Envoy repairs.',
    documented: 'http1-strict-syntax',
  },
  {
    cases: [...of('encoding', 'Transfer-Encoding:\\r\\nTransfer-Encoding: chunked')],
    differs: ['status', 'connection', 'application'],
    why: 'Two Transfer-Encoding fields, one of them empty: the agent refuses what is not exactly `chunked`.',
    documented: 'http1-strict-syntax',
  },
  {
    cases: [...of('length', '"05"', '"005"', 'named by Connection'), ...of('connection', 'names the length')],
    differs: ['application'],
    why: 'The agent writes the length as the number that it read, and keeps it when Connection names it; Envoy copies the digits, or replaces the length by chunks.',
    documented: 'wire-framing-rewritten',
  },
  {
    cases: [
      ...of(
        'length',
        '"00000000000000000000000000000000000000000000000000… (101 bytes)"',
        '"18446744073709551615"',
        '"9223372036854775807"',
        '"9223372036854775808"',
        '"9007199254740992"',
      ),
      ...of('chunk', '16 times f', '7fffffffffffffff', '2^53'),
    ],
    differs: ['status', 'connection', 'application'],
    why: 'The agent refuses lengths and chunk sizes of more than 2^53-1 bytes, and numbers with so many digits; Envoy waits for the body.',
    documented: 'wire-framing-rewritten',
  },
  {
    cases: [
      ...of(
        'chunk',
        '40 leading zeros',
        '5,000 leading zeros',
        'extension with spaces',
        'extension with NUL',
        'extension with a control character',
        'extension of 200 KB',
      ),
    ],
    differs: ['status', 'connection', 'application'],
    why: 'The agent refuses chunk lines of more bytes than any client writes, and control characters in extensions; Envoy skips them.',
    documented: 'wire-framing-rewritten',
  },
  {
    cases: [...of('trailer', 'of 100 KB')],
    differs: ['status'],
    why: 'Both refuse the trailers; the agent with 400, Envoy with 431 or not below 60 KiB.',
    documented: 'wire-framing-rewritten',
  },
  {
    cases: [
      ...of('upgrade', 'WebSocket in mixed case', 'websocket by POST', 'websocket, close and upgrade', 'websocket, two Connection fields'),
    ],
    differs: ['application'],
    why: 'The agent writes Connection and Content-Length of a forwarded upgrade again; Envoy copies Connection and writes no length.',
    documented: 'wire-upgrades',
  },
  {
    cases: [...of('upgrade with a body', 'length', 'length of POST', 'chunks', 'unfinished length', 'Expect')],
    differs: ['status', 'connection', 'application'],
    why: 'The agent refuses an upgrade with a body; Envoy opens the tunnel.',
    documented: 'upgrade-with-body',
  },
];
