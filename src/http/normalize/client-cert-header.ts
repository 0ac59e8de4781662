/*
 * Parses X-Forwarded-Client-Cert, in which a proxy that terminated mTLS describes its client's certificate. Only the last
 * element counts: it is the one that the proxy itself wrote.
 * @see envoy docs, HTTP header manipulation, x-forwarded-client-cert
 */
import type { PeerIdentity } from '../../policy/facts.ts';

const QUOTE = '"';

/**
 * The identity in the last element: its `URI`, `DNS` and `Subject` fields. Commas separate elements, semicolons separate
 * fields; a value in double quotes may contain both, with `\"` for a quote. Field names are case-insensitive.
 * @param header the header's value
 * @returns undefined when the header is malformed; an element without any of the three fields is an identity without names
 */
export function parseClientCertHeader(header: string): PeerIdentity | undefined {
  let fields: Field[] = [];
  let at = 0;
  for (;;) {
    const field = readField(header, at);
    if (field === undefined) return undefined;
    fields.push(field);
    at = field.end;
    if (at === header.length) return identityOf(fields);
    if (header[at] === ',') fields = [];
    at += 1;
  }
}

interface Field {
  /** Lower case. */
  readonly name: string;
  readonly value: string;
  /** Index of the separator after the field, or the length of the header. */
  readonly end: number;
}

function readField(header: string, from: number): Field | undefined {
  const equals = header.indexOf('=', from);
  if (equals === -1) return undefined;
  const name = header.slice(from, equals).trim().toLowerCase();
  if (!/^[a-z]+$/.test(name)) return undefined;
  return header[equals + 1] === QUOTE ? readQuoted(header, name, equals + 2) : readPlain(header, name, equals + 1);
}

function readPlain(header: string, name: string, from: number): Field {
  let end = from;
  while (end < header.length && header[end] !== ';' && header[end] !== ',') end += 1;
  return { name, value: header.slice(from, end).trim(), end };
}

function readQuoted(header: string, name: string, from: number): Field | undefined {
  let value = '';
  let at = from;
  for (; header[at] !== QUOTE; at += 1) {
    if (at >= header.length) return undefined;
    if (header[at] === '\\' && header[at + 1] === QUOTE) at += 1;
    value += header[at];
  }
  let end = at + 1;
  while (header[end] === ' ') end += 1;
  const isSeparated = end >= header.length || header[end] === ';' || header[end] === ',';
  return isSeparated ? { name, value, end } : undefined;
}

function identityOf(fields: readonly Field[]): PeerIdentity {
  const valuesOf = (wanted: string): readonly string[] =>
    fields.filter(({ name, value }) => name === wanted && value !== '').map(({ value }) => value);
  return { uris: valuesOf('uri'), dnsNames: valuesOf('dns'), subject: valuesOf('subject')[0] ?? '' };
}
