/*
 * The X-Forwarded-Client-Cert header: what a proxy that terminated mTLS says of its client. In: the header's text. Out: the
 * identity in its last element, which is the one that the proxy itself wrote. Called for connections of trusted proxies only.
 * @see envoy docs, HTTP header manipulation, x-forwarded-client-cert
 */
import type { PeerIdentity } from '../../policy/facts.ts';

const QUOTE = '"';

/**
 * The certificate that the last element describes: its `URI`, `DNS` and `Subject` fields. Elements are separated by commas,
 * fields by semicolons; a value in double quotes may hold either, with `\"` for a quote. Field names are compared without case.
 * @returns undefined when the text is malformed; an element without any of the three is an identity without names
 */
export function parseClientCertHeader(text: string): PeerIdentity | undefined {
  let fields: Field[] = [];
  let at = 0;
  for (;;) {
    const field = readField(text, at);
    if (field === undefined) return undefined;
    fields.push(field);
    at = field.end;
    if (at === text.length) return identityOf(fields);
    if (text[at] === ',') fields = [];
    at += 1;
  }
}

interface Field {
  /** Lower case. */
  readonly name: string;
  readonly value: string;
  /** Index of the separator behind it, or the length of the text. */
  readonly end: number;
}

function readField(text: string, from: number): Field | undefined {
  const equals = text.indexOf('=', from);
  if (equals === -1) return undefined;
  const name = text.slice(from, equals).trim().toLowerCase();
  if (!/^[a-z]+$/.test(name)) return undefined;
  return text[equals + 1] === QUOTE ? readQuoted(text, name, equals + 2) : readPlain(text, name, equals + 1);
}

function readPlain(text: string, name: string, from: number): Field {
  let end = from;
  while (end < text.length && text[end] !== ';' && text[end] !== ',') end += 1;
  return { name, value: text.slice(from, end).trim(), end };
}

function readQuoted(text: string, name: string, from: number): Field | undefined {
  let value = '';
  let at = from;
  for (; text[at] !== QUOTE; at += 1) {
    if (at >= text.length) return undefined;
    if (text[at] === '\\' && text[at + 1] === QUOTE) at += 1;
    value += text[at];
  }
  let end = at + 1;
  while (text[end] === ' ') end += 1;
  const isSeparated = end >= text.length || text[end] === ';' || text[end] === ',';
  return isSeparated ? { name, value, end } : undefined;
}

function identityOf(fields: readonly Field[]): PeerIdentity {
  const valuesOf = (wanted: string): readonly string[] =>
    fields.filter(({ name, value }) => name === wanted && value !== '').map(({ value }) => value);
  return { uris: valuesOf('uri'), dnsNames: valuesOf('dns'), subject: valuesOf('subject')[0] ?? '' };
}
