/* Request heads and chunked bodies: the codec gives the same result however the bytes are split, and writes what it accepts unambiguously. */
import { ChunkReader } from '../../../src/agent/http1/chunk-reader.ts';
import { HeadBuffer } from '../../../src/agent/http1/head-buffer.ts';
import { type Http1Request, isHopeless, MAX_HEAD_BYTES, MAX_HEADERS, parseRequestHead } from '../../../src/agent/http1/request-head.ts';
import { type Http1Response, parseResponseHead } from '../../../src/agent/http1/response-head.ts';
import { writeRequestHead } from '../../../src/agent/http1/write-request.ts';
import { type FuzzTarget, hold } from '../target.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// oxlint-disable-next-line no-control-regex -- control bytes are what is searched for
const VALUE = /^(?:[^\0-\x08\x0a-\x1f\x7f \t](?:[^\0-\x08\x0a-\x1f\x7f]*[^\0-\x08\x0a-\x1f\x7f \t])?)?$/;

function checkHead(request: Http1Request): void {
  hold(/^[!-~]+$/.test(request.target), 'the target is visible ASCII');
  hold(request.headers.length % 2 === 0 && request.headers.length <= MAX_HEADERS * 2, 'headers are pairs and limited in number');
  for (const [at, part] of request.headers.entries())
    hold((at % 2 === 0 ? NAME : VALUE).test(part), 'names are tokens, values are one line');
  hold(request.body >= -1 && Number.isSafeInteger(request.body), 'the body has a length or chunks');
}

/** A request that is parsed, written and parsed again is the same. */
function checkRoundTrip(request: Http1Request): void {
  const headers = request.headers.flatMap((part, at) =>
    at % 2 === 0 && part.toLowerCase() !== 'host' ? [part.toLowerCase(), request.headers[at + 1] ?? ''] : [],
  );
  const again = parseRequestHead(
    writeRequestHead({ method: request.method, target: request.target, host: 'h', headers, upgrade: '' }, request),
  );
  if (again.kind === 'reply') {
    // If the client sent no Host, the written one may be the 101st field.
    hold(again.status === 431, 'an accepted head can be forwarded');
    return;
  }
  hold(again.method === request.method && again.target === request.target, 'the request line is the same');
  hold(again.body === request.body, 'the framing is the same');
}

const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'transfer-encoding', 'keep-alive', 'upgrade', 'server']);

/** Fed byte by byte, the buffer finds the same head. */
function checkCuts(input: string): void {
  const bytes = Buffer.from(input, 'latin1');
  const whole = new HeadBuffer(MAX_HEAD_BYTES);
  const text = whole.take(bytes, 0, bytes.length);
  const pieces = new HeadBuffer(MAX_HEAD_BYTES);
  let found = '';
  let fresh = '';
  for (let at = 0; at < bytes.length && found === '' && !pieces.overflow; at += 1) {
    found = pieces.take(bytes, at, at + 1);
    if (found === '' && fresh === '' && isHopeless(pieces.fresh(), at === 0)) fresh = 'hopeless';
  }
  if (text.length > MAX_HEAD_BYTES) return;
  hold(found === text, 'the same head is found however its bytes are split');
  if (fresh !== '' && found !== '' && !found.startsWith('\r\n'))
    hold(parseRequestHead(found).kind === 'reply', 'a head refused early is refused when complete');
}

/** What the agent makes of a response that arrives in pieces; undefined: its head is unfinished. */
function readResponse(bytes: Buffer, step: number): { readonly response: Http1Response | string; readonly next: number } | undefined {
  const heads = new HeadBuffer(MAX_HEAD_BYTES, true);
  for (let at = 0; at < bytes.length; at += step) {
    const text = heads.take(bytes, at, Math.min(bytes.length, at + step));
    if (text === '') continue;
    const response = parseResponseHead(text, 'GET');
    return { response, next: typeof response === 'string' ? 0 : heads.next - (text.length - response.length) };
  }
  return undefined;
}

/** A response head is accepted or refused, and ends where it ends, however it is split. */
function checkResponse(input: string): void {
  const bytes = Buffer.from(input, 'latin1');
  const whole = readResponse(bytes, bytes.length || 1);
  for (const step of [1, 7]) {
    const pieces = readResponse(bytes, step);
    hold(typeof whole?.response === typeof pieces?.response, 'a response head is accepted or refused however it is split');
    if (typeof whole?.response !== 'object') continue;
    hold(whole.next === pieces?.next, 'a response head ends in the same place however it is split');
    hold(JSON.stringify(whole.response) === JSON.stringify(pieces.response), 'a response head is the same however it is split');
  }
  if (typeof whole?.response === 'object') checkResponseHead(whole.response);
}

function checkResponseHead(response: Http1Response): void {
  hold(response.status >= 100 && response.status <= 999, 'a status has three digits');
  hold(!/[\r\n\0]/.test(response.reason), 'a reason is one line');
  hold(response.headers.length % 2 === 0, 'headers are pairs');
  for (const [at, part] of response.headers.entries())
    hold((at % 2 === 0 ? NAME : VALUE).test(part), 'names are tokens, values are one line');
  const names = response.headers.filter((_, at) => at % 2 === 0);
  hold(!names.some((name) => HOP_BY_HOP.has(name)), 'hop-by-hop fields are removed');
}

export const requestHead: FuzzTarget = {
  name: 'request-head',
  properties: 'a head is refused or well-formed, however it is split, and round-trips',
  seeds: [
    'GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n',
    'POST http://h:80/a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\nExpect: 100-continue\r\nX-Request-Id: 1\r\n\r\nabc',
    'PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n',
    'OPTIONS * HTTP/1.0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nConnection: x, close\r\nX: y\r\nKeep-Alive: timeout=5\r\n\r\n',
    'HTTP/1.1 200 OK\nX: a\n  b\nContent-Length: 3\n\nabc\r\n\r\n',
    'HTTP/1.0 304\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n',
  ],
  dictionary: [
    '\r\n',
    '\r\n\r\n',
    '\n\n',
    '\n\r\n',
    '\n ',
    ' HTTP/1.1',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding : chunked',
    'Connection: close\r\n',
    ' ',
    ':',
    '\t',
    '\n',
    '\r',
    'Host: x\r\n',
    'http://',
    '/',
    '0',
    '+3',
    ', ',
    'chunked',
    'X-A: b\r\n',
    'Keep-Alive: timeout=1',
    '#',
    '\0',
  ],
  regressions: [],
  run(input) {
    checkCuts(input);
    checkResponse(input);
    const end = input.indexOf('\r\n\r\n');
    if (end === -1) return;
    const head = input.slice(0, end + 4);
    const request = parseRequestHead(head);
    if (request.kind === 'request') {
      checkHead(request);
      checkRoundTrip(request);
    }
  },
};

/** The content of a chunked body according to RFC 9112; undefined: incomplete or malformed. */
function contentOf(body: string): string | undefined {
  let content = '';
  for (let at = 0; ; ) {
    const line = /^([0-9A-Fa-f]+)(?:;[^\r\n]*)?\r\n/.exec(body.slice(at, at + 20_000));
    if (line === null) return undefined;
    const size = Number.parseInt(line[1] ?? '', 16);
    at += line[0].length;
    if (size === 0) return content;
    if (body.length < at + size + 2) return undefined;
    content += body.slice(at, at + size);
    at += size + 2;
  }
}

interface ReadBody {
  readonly state: string;
  readonly forwarded: string;
  readonly consumed: number;
}

function readBody(bytes: Buffer, step: number): ReadBody {
  const reader = new ChunkReader(false);
  let forwarded = '';
  for (let start = 0; start < bytes.length; start += step) {
    const end = Math.min(bytes.length, start + step);
    for (let at = start; at < end; at = reader.consumedEnd) {
      const state = reader.read(bytes, at, end);
      forwarded += bytes.toString('latin1', at, reader.forwardEnd);
      if (state !== 'more') return { state, forwarded: state === 'bad' ? '' : forwarded, consumed: reader.consumedEnd };
    }
  }
  return { state: 'more', forwarded, consumed: bytes.length };
}

export const chunks: FuzzTarget = {
  name: 'chunks',
  properties: 'a chunked body reads the same however it is split, and the forwarded body has the same content and no trailer',
  seeds: [
    '3\r\nabc\r\n0\r\n\r\n',
    '3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    '000\r\n\r\n',
    'ffffffffffff\r\nx',
  ],
  dictionary: ['\r\n', '0\r\n\r\n', '1\r\nx\r\n', ';a=b', '\n', '\r', ' ', 'T: u\r\n', '-1', '0x', 'fffffffffffff'],
  regressions: [],
  run(input) {
    const bytes = Buffer.from(input, 'latin1');
    const whole = readBody(bytes, bytes.length || 1);
    for (const step of [1, 2, 7]) {
      const cut = readBody(bytes, step);
      hold(
        cut.state === whole.state && cut.forwarded === whole.forwarded && cut.consumed === whole.consumed,
        'the same body is read however its bytes are split',
      );
    }
    if (whole.state !== 'done') return;
    const content = contentOf(input);
    hold(content !== undefined, 'a finished body is complete');
    hold(contentOf(`${whole.forwarded}\r\n`) === content, 'the forwarded body has the same content');
  },
};
