/*
 * The JSON form of OTLP (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), as far as all spans have it in common.
 */

import { withoutTrailing } from '../text.ts';

/** What the spans of one process have in common: attributes of the resource by name. */
export interface TraceSource {
  readonly attributes: Readonly<Record<string, string>>;
}

/** One attribute of a span. */
export interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: number };
}

/** Status of a span that failed. */
export const ERROR_STATUS: { readonly code: number } = { code: 2 };

/** An attribute with a number. */
export function numberAttribute(key: string, value: number): Attribute {
  return { key, value: { intValue: value } };
}

/** The attribute with at most `max` characters of its text. */
export function cutAttribute({ key, value }: Attribute, max: number): Attribute {
  return 'stringValue' in value && value.stringValue.length > max
    ? { key, value: { stringValue: value.stringValue.slice(0, max) } }
    : { key, value };
}

/** A time as OTLP has it, in nanoseconds. A number would lose the last digits. @param ms since 1970 */
export function nanosOf(ms: number): string {
  return `${Math.floor(ms)}${String(Math.floor((ms % 1) * 1e6)).padStart(6, '0')}`;
}

/** The body of a request to export spans. @param spans each as JSON */
export function exportBody({ attributes }: TraceSource, spans: readonly string[]): string {
  const resource = { attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: { stringValue: value } })) };
  return `{"resourceSpans":[{"resource":${JSON.stringify(resource)},"scopeSpans":[{"scope":{"name":"sallyport"},"spans":[${spans.join(',')}]}]}]}`;
}

/** Where to send spans. @param endpoint URL of a collector; `/v1/traces` is added to its path */
export function tracesUrl(endpoint: string): URL {
  const url = new URL(endpoint);
  url.pathname = `${withoutTrailing(url.pathname, '/')}/v1/traces`;
  return url;
}
