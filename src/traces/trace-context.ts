/*
 * `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/), versions 00 and later ones as far as they are compatible.
 */
import { randomBytes } from 'node:crypto';
import type { HeaderList } from '../http/header-list.ts';

/** Where a span is in its trace. */
export interface SpanContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all zero. */
  readonly spanId: string;
  /** The service that made it records the trace. */
  readonly isSampled: boolean;
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** The last group: later versions may have more parts. */
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/** The parent in the headers of a request, whatever the case of their names; undefined: none, an invalid one, or several. */
export function parentOf(headers: HeaderList): SpanContext | undefined {
  let found: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (!isName(headers[at], 'traceparent')) continue;
    if (found !== undefined) return undefined;
    found = headers[at + 1];
  }
  return found === undefined ? undefined : parseTraceParent(found);
}

function parseTraceParent(text: string): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = PARENT.exec(text.trim()) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** `tracestate` as the client sent it; empty: none. */
export function traceStateOf(headers: HeaderList): string {
  const values: string[] = [];
  for (let at = 0; at < headers.length; at += 2) if (isName(headers[at], 'tracestate')) values.push(headers[at + 1] as string);
  return values.join(',');
}

/** The value of `traceparent` for what comes after `span`. */
export function formatTraceParent({ traceId, spanId, isSampled }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${isSampled ? SAMPLED : 0}`;
}

/** A random trace id. */
export function newTraceId(): string {
  return randomBytes(TRACE_ID_BYTES).toString('hex');
}

/** A random span id. */
export function newSpanId(): string {
  return randomBytes(SPAN_ID_BYTES).toString('hex');
}

function isName(name: string | undefined, wanted: string): boolean {
  return name !== undefined && name.length === wanted.length && name.toLowerCase() === wanted;
}
