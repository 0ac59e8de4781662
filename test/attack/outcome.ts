/*
 * What a case did: to the client, and to the application. Values that differ between any two proxies are removed.
 */
import { createHash } from 'node:crypto';
import type { Received } from './strict-reader.ts';

/** The parts of an outcome that are compared one by one. */
export const ASPECTS = ['status', 'connection', 'application', 'response', 'probe'] as const;
/** One of {@link ASPECTS}. */
export type Aspect = (typeof ASPECTS)[number];

/** What one case did. */
export interface Outcome extends Readonly<Record<Aspect, string>> {
  /** Statuses of all responses on the connection of the case. */
  readonly status: string;
  /** `kept`: the request behind the case was answered; `closed`: by the proxy; `waiting`: the proxy expects more bytes. */
  readonly connection: 'kept' | 'closed' | 'waiting';
  /** Requests that the application received, one a line. */
  readonly application: string;
  /** The response as a whole, for answer cases; otherwise empty. */
  readonly response: string;
  /** Status and `x-seen` of a request on another connection, right after the case. */
  readonly probe: string;
}

/** Fields whose value differs between any two proxies, or that only Envoy sets. */
const OWN_REQUEST_FIELD = /^(?:x-request-id|x-envoy-expected-rq-timeout-ms|x-envoy-internal|x-envoy-attempt-count)$/;
const OWN_RESPONSE_FIELD = /^(?:date|server|x-envoy-upstream-service-time)$/;
const SHOWN_BODY = 120;

/** One line for a request that the application received. */
export function describeRequest({ method, target, fields, body, framing, complete, fault }: Received): string {
  const shown = fields
    .filter(([name]) => !OWN_REQUEST_FIELD.test(name))
    .map(([name, value]) => `${name}: ${short(value)}`)
    .sort();
  const state = fault === undefined ? (complete ? 'complete' : 'incomplete') : `FAULT ${fault}`;
  return `${method} ${short(target)} | ${shown.join(' | ')} | ${framing} ${state} ${short(JSON.stringify(body))}`;
}

function short(text: string): string {
  if (text.length <= SHOWN_BODY) return text;
  return `${text.slice(0, 40)}…${text.length} bytes, ${createHash('sha256').update(text, 'latin1').digest('hex').slice(0, 12)}`;
}

/** All statuses in `text`, which contains only bodies of the test's application and of proxies. */
export function statusesOf(text: string): string {
  return [...text.matchAll(/HTTP\/1\.[01] ([0-9]{3})/g)].map(([, status]) => status).join(' ');
}

/** The responses to one request: interim ones, then the final one with its fields sorted and its body decoded. */
export function describeResponse(text: string, method: string, closed: boolean): string {
  const described: string[] = [];
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd === -1) return [...described, `head incomplete ${short(JSON.stringify(rest))}`].join('\n');
    const [line = '', ...rows] = rest.slice(0, headEnd).split('\r\n');
    const fields = rows.map((row) => row.replace(/^[^:]*/, (name) => name.toLowerCase()));
    const shown = fields
      .filter((row) => !OWN_RESPONSE_FIELD.test(row.replace(/:.*$/s, '')))
      .map(short)
      .sort();
    described.push(`${line} | ${shown.join(' | ')}`);
    rest = rest.slice(headEnd + 4);
    const status = Number(line.slice(9, 12));
    if (status >= 200 || status === 101) return [...described, describeBody(rest, { method, status, fields, closed })].join('\n');
  }
}

interface BodyFacts {
  readonly method: string;
  readonly status: number;
  readonly fields: readonly string[];
  readonly closed: boolean;
}

function describeBody(text: string, { method, status, fields, closed }: BodyFacts): string {
  const has = (pattern: RegExp): RegExpExecArray | null => pattern.exec(fields.join('\n'));
  if (method === 'HEAD' || status === 204 || status === 304 || status === 101) return `no body, then ${short(JSON.stringify(text))}`;
  if (has(/^transfer-encoding: *chunked$/m) !== null) {
    const { body, end } = dechunk(text);
    return `body ${short(JSON.stringify(body))} ${end === -1 ? 'incomplete' : `complete, then ${short(JSON.stringify(text.slice(end)))}`}`;
  }
  const length = has(/^content-length: *([0-9]+)$/m);
  if (length === null) return `body ${short(JSON.stringify(text))} ${closed ? 'until the end' : 'unbounded'}`;
  const end = Number(length[1]);
  const state = text.length < end ? 'incomplete' : `complete, then ${short(JSON.stringify(text.slice(end)))}`;
  return `body ${short(JSON.stringify(text.slice(0, end)))} ${state}`;
}

/** @returns `end` -1: the body is not complete */
function dechunk(text: string): { readonly body: string; readonly end: number } {
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return { body, end: -1 };
    if (size === 0) return { body, end: text.startsWith('\r\n', lineEnd + 2) ? lineEnd + 4 : -1 };
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + size + 4;
    if (at > text.length) return { body, end: -1 };
  }
}
