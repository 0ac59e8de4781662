/*
 * The identity in a verified client certificate, as Envoy reads it: the names that policies compare, and the element that it adds to
 * X-Forwarded-Client-Cert.
 */
import type { X509Certificate } from 'node:crypto';
import type { PeerIdentity } from '../../policy/facts.ts';

/** The names of a certificate: URIs and DNS names in its order, and the subject as RFC 2253 writes it. */
export function identityOf(certificate: X509Certificate): PeerIdentity {
  const names = alternativeNames(certificate.subjectAltName ?? '');
  const valuesOf = (wanted: string): readonly string[] => names.filter(({ type }) => type === wanted).map(({ value }) => value);
  return { uris: valuesOf('URI'), dnsNames: valuesOf('DNS'), subject: rfc2253(certificate.subject ?? '') };
}

/**
 * Whether one of the URIs is a SPIFFE ID of one of the domains, which Istio requires of every client.
 * @param trustDomains without `spiffe://`
 */
export function isOfTrustDomain({ uris }: PeerIdentity, trustDomains: readonly string[]): boolean {
  return uris.some((uri) => trustDomains.some((domain) => uri.startsWith(`spiffe://${domain}/`)));
}

/**
 * The element of this hop in X-Forwarded-Client-Cert, with the fields that Istio asks for.
 * @param localUri URI of the agent's own certificate; `''`: it has none
 */
export function forwardedElement(certificate: X509Certificate, { uris, dnsNames, subject }: PeerIdentity, localUri: string): string {
  const fields = [
    ...(localUri === '' ? [] : [`By=${plainOrQuoted(localUri)}`]),
    `Hash=${certificate.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    // RFC 2253 has escaped its quotes.
    `Subject="${subject}"`,
    // The field is there even without a URI.
    ...(uris.length === 0 ? ['URI='] : uris.map((uri) => `URI=${plainOrQuoted(uri)}`)),
    ...dnsNames.map((name) => `DNS=${plainOrQuoted(name)}`),
  ];
  return fields.join(';');
}

/** A value with a separator of the header would otherwise be read as several fields or elements. */
function plainOrQuoted(value: string): string {
  return /[",;=\s]/.test(value) ? quoted(value) : value;
}

function quoted(value: string): string {
  // Line breaks cannot be in a header, and no reader has to know what replaces them.
  return `"${value.replaceAll('"', '\\"').replace(/[\r\n\0]/g, ' ')}"`;
}

interface AlternativeName {
  /** As OpenSSL writes it: `URI`, `DNS`, `IP Address`. */
  readonly type: string;
  readonly value: string;
}

/** Parses `type:value, type:value`; Node.js writes a value with a separator or another special character as a JSON string. */
function alternativeNames(text: string): readonly AlternativeName[] {
  const names: AlternativeName[] = [];
  for (let at = 0; at < text.length; ) {
    const colon = text.indexOf(':', at);
    if (colon === -1) return names;
    const end = text[colon + 1] === '"' ? stringEnd(text, colon + 1) : separatorAt(text, colon);
    const value = text.slice(colon + 1, end);
    names.push({ type: text.slice(at, colon), value: value.startsWith('"') ? String(JSON.parse(value)) : value });
    at = end + ', '.length;
  }
  return names;
}

function separatorAt(text: string, from: number): number {
  const end = text.indexOf(', ', from);
  return end === -1 ? text.length : end;
}

/** Index behind the string literal that begins at `from`. */
function stringEnd(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Node.js writes one relative name a line, with the escapes of RFC 2253, in the order of the certificate; RFC 2253 reverses it. */
function rfc2253(lines: string): string {
  if (lines === '') return '';
  const names = lines.split('\n').reverse();
  return names.map((name) => asciiOf(splitAttributes(name).reverse().join('+'))).join(',');
}

/** The attributes of one relative name, which OpenSSL joins by ` + `; a plus in a value is escaped. */
function splitAttributes(name: string): string[] {
  const attributes: string[] = [];
  let from = 0;
  for (let at = 0; at < name.length; at += 1) {
    if (name[at] === '\\') at += 1;
    else if (name.startsWith(' + ', at)) {
      attributes.push(name.slice(from, at));
      from = at + 3;
    }
  }
  return [...attributes, name.slice(from)];
}

/** Escapes each byte beyond ASCII as `\` and two hexadecimal digits. */
function asciiOf(text: string): string {
  return text.replace(
    /[^\0-\x7f]+/g,
    (
      part, // oxlint-disable-line no-control-regex -- everything but ASCII
    ) => [...Buffer.from(part, 'utf8')].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''),
  );
}
