/*
 * The part of Go's URL parser that decides whether a `jwksUri` is rejected, with Go's error texts. Used by the CRD rule on
 * `jwksUri` and by the webhook layer.
 * @see https://pkg.go.dev/net/url#Parse
 */
import { parseGoAddress } from './netip.ts';
import { goQuote } from './quote.ts';

/** `scheme` in lower case and `port` as written, each `''` if absent; or Go's error text. */
export type GoUrl =
  | { readonly kind: 'ok'; readonly scheme: string; readonly port: string }
  | { readonly kind: 'error'; readonly message: string };

interface Failure {
  readonly error: string;
}
type Split = { readonly scheme: string; readonly rest: string } | Failure;
type Parts = { readonly scheme: string; readonly port: string } | Failure;

const USERINFO = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;
/** Part of a URL that contains an escape. Hosts allow escapes only for non-ASCII bytes and for the percent sign of a zone. */
type Place = 'path' | 'host' | 'zone';
const BAD_HOST_CHARACTER = /[^A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\uffff]/;
const PERCENT_OR_BAD = /%|[^A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"\u0080-\uffff]/g;

/**
 * Parses a URL like Go's `url.Parse`.
 *
 * @param isRequest parse like `url.ParseRequestURI` instead: the text must be absolute or start with `/`, and must not be empty
 */
export function parseGoUrl(text: string, isRequest: boolean): GoUrl {
  const [main = '', ...fragments] = isRequest ? [text] : text.split('#');
  const parsed = parseParts(main, isRequest);
  if ('error' in parsed) return { kind: 'error', message: `parse ${goQuote(main)}: ${parsed.error}` };
  const failure = badEscape(fragments.join('#'), 'path');
  return failure === undefined ? { kind: 'ok', ...parsed } : { kind: 'error', message: `parse ${goQuote(text)}: ${failure.error}` };
}

function parseParts(text: string, isRequest: boolean): Parts {
  if (hasControl(text)) return { error: 'net/url: invalid control character in URL' };
  if (text === '' && isRequest) return { error: 'empty url' };
  const split = splitScheme(text);
  if ('error' in split) return split;
  const { scheme } = split;
  const rest = split.rest.split('?', 1)[0] ?? '';
  if (!rest.startsWith('/')) return rootless(scheme, rest, isRequest, text);
  const hasAuthority = rest.startsWith('//') && (scheme !== '' || (!isRequest && !rest.startsWith('///')));
  return hasAuthority ? withAuthority(scheme, rest.slice(2)) : (badEscape(rest, 'path') ?? { scheme, port: '' });
}

function rootless(scheme: string, rest: string, isRequest: boolean, text: string): Parts {
  if (scheme !== '' || text === '*') return { scheme, port: '' };
  if (isRequest) return { error: 'invalid URI for request' };
  if ((rest.split('/', 1)[0] ?? '').includes(':')) return { error: 'first path segment in URL cannot contain colon' };
  return badEscape(rest, 'path') ?? { scheme, port: '' };
}

function withAuthority(scheme: string, rest: string): Parts {
  const slash = rest.indexOf('/');
  const port = parseAuthority(scheme, slash < 0 ? rest : rest.slice(0, slash));
  if (typeof port !== 'string') return port;
  return badEscape(slash < 0 ? '' : rest.slice(slash), 'path') ?? { scheme, port };
}

function splitScheme(text: string): Split {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text);
  if (match?.[1] !== undefined) return { scheme: match[1].toLowerCase(), rest: text.slice(match[0].length) };
  return text.startsWith(':') ? { error: 'missing protocol scheme' } : { scheme: '', rest: text };
}

function parseAuthority(scheme: string, authority: string): string | Failure {
  const atSign = authority.lastIndexOf('@');
  const port = parseHost(scheme, authority.slice(atSign + 1));
  if (typeof port !== 'string' || atSign < 0) return port;
  const user = authority.slice(0, atSign);
  if (!USERINFO.test(user)) return { error: 'net/url: invalid userinfo' };
  const colon = user.indexOf(':');
  const parts = colon < 0 ? [user] : [user.slice(0, colon), user.slice(colon + 1)];
  return parts.map((part) => badEscape(part, 'path')).find((failure) => failure !== undefined) ?? port;
}

function parseHost(scheme: string, host: string): string | Failure {
  const bracket = host.lastIndexOf('[');
  if (bracket > 0) return { error: 'invalid IP-literal' };
  if (bracket === 0) return parseLiteral(host);
  // For other schemes Go still accepts lists of hosts with ports, which some database URLs use.
  const colon = scheme === 'http' || scheme === 'https' ? host.indexOf(':') : host.lastIndexOf(':');
  const port = colon < 0 ? '' : host.slice(colon);
  return badPort(port) ?? badEscape(host, 'host') ?? port.slice(1);
}

function parseLiteral(host: string): string | Failure {
  const end = host.lastIndexOf(']');
  if (end < 0) return { error: "missing ']' in host" };
  const port = host.slice(end + 1);
  const name = host.slice(1, end);
  const zone = name.indexOf('%25');
  const [address, rest] = zone < 0 ? [name, ''] : [name.slice(0, zone), name.slice(zone)];
  const failure = badPort(port) ?? badEscape(address, 'host') ?? badEscape(rest, 'zone');
  if (failure !== undefined) return failure;
  const plain = unescaped(address) + unescaped(rest);
  const error = parseGoAddress(plain);
  if (error !== undefined) return { error: `invalid host: ${error}` };
  return plain.includes(':') ? port.slice(1) : { error: 'invalid IP-literal' };
}

function badPort(port: string): Failure | undefined {
  return /^(:\d*)?$/.test(port) ? undefined : { error: `invalid port ${goQuote(port)} after host` };
}

/** The first invalid escape, or escape not allowed in this part; in a host also the first invalid character. */
function badEscape(text: string, place: Place): Failure | undefined {
  for (const { 0: found, index } of text.matchAll(place === 'path' ? /%/g : PERCENT_OR_BAD)) {
    if (found !== '%') return { error: `invalid character ${goQuote(found)} in host name` };
    const escape = text.slice(index, index + 3);
    if (!/^%[0-9A-Fa-f]{2}$/.test(escape) || !isAllowed(escape, place)) return { error: `invalid URL escape ${quoteThreeBytes(escape)}` };
  }
  return undefined;
}

function isAllowed(escape: string, place: Place): boolean {
  if (place === 'path' || escape === '%25') return true;
  const code = Number.parseInt(escape.slice(1), 16);
  if (place === 'host') return code >= 0x80;
  return code === 0x20 || (code < 0x80 && !BAD_HOST_CHARACTER.test(String.fromCharCode(code)));
}

/** Go truncates after three bytes, which may split a character; it prints the remaining bytes in hexadecimal. */
function quoteThreeBytes(text: string): string {
  const bytes = new TextEncoder().encode(text).subarray(0, 3);
  const whole = new TextDecoder().decode(bytes, { stream: true });
  const rest = [...bytes.subarray(new TextEncoder().encode(whole).length)].map((byte) => `\\x${byte.toString(16)}`);
  return `${goQuote(whole).slice(0, -1)}${rest.join('')}"`;
}

function unescaped(text: string): string {
  return text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
