/*
 * First pass over the headers of a request: lower-case names, one entry for each inline header, without Host and without the
 * proxy headers that a client may not send. Hot path: one pass, one array, no other allocation.
 */
import { type HeaderList, hasHeader, type MutableHeaderList } from '../header-list.ts';
import { DROP, HOST, TREATMENT_BY_NAME } from './inline-headers.ts';

/** The headers of a request after the first pass. */
export interface CopiedHeaders {
  /** Lower-case names. */
  readonly headers: MutableHeaderList;
  /** Values of Host joined with `,`; `undefined`: absent. */
  readonly host: string | undefined;
  /** Bit n: the header of slot n (below 32) is present. */
  readonly seen: number;
}

/** Copies and merges the headers of a request as the codec read them. */
export function copyHeaders(raw: HeaderList): CopiedHeaders {
  const headers: MutableHeaderList = [];
  let host: string | undefined;
  let seenLow = 0;
  let seenHigh = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    const slot = TREATMENT_BY_NAME.get(name);
    if (slot === undefined) {
      headers.push(name, value);
    } else if (slot < DROP) {
      const bit = 1 << (slot & 31);
      if (((slot < 32 ? seenLow : seenHigh) & bit) === 0) headers.push(name, value);
      else mergeInto(headers, name, value);
      if (slot < 32) seenLow |= bit;
      else seenHigh |= bit;
    } else if (slot === HOST) {
      host = host === undefined ? value : joinValues(host, value);
    }
  }
  return { headers, host, seen: seenLow };
}

/** Joins the cookies of a request over HTTP/2, where a client may send each in its own field (RFC 9113 section 8.2.3). */
export function joinCookies(headers: MutableHeaderList): void {
  let cookies = '';
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (name === 'cookie') {
      // Envoy's codec skips empty cookies before the first that is not empty, and drops the header when all are empty.
      cookies = cookies === '' ? value : `${cookies}; ${value}`;
      continue;
    }
    headers[kept] = name;
    headers[kept + 1] = value;
    kept += 2;
  }
  headers.length = kept;
  if (cookies !== '') headers.push('cookie', cookies);
}

/** Adds a header as Envoy adds to its header map: the value is joined to an inline header that is already present. */
export function addHeader(headers: MutableHeaderList, name: string, value: string): void {
  const isInline = (TREATMENT_BY_NAME.get(name) ?? HOST) !== HOST;
  if (isInline && hasHeader(headers, name)) mergeInto(headers, name, value);
  else headers.push(name, value);
}

function mergeInto(headers: MutableHeaderList, name: string, value: string): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) headers[i + 1] = joinValues(headers[i + 1] as string, value);
  }
}

/** Joins the values of two instances of an inline header as Envoy does: with a comma, unless one is empty. */
export function joinValues(left: string, right: string): string {
  if (right === '') return left;
  return left === '' ? right : `${left},${right}`;
}

/** Is the header of `slot` (below 32) present? */
export function has(copied: CopiedHeaders, slot: number): boolean {
  return (copied.seen & (1 << slot)) !== 0;
}
