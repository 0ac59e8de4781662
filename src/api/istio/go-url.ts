/*
 * The part of Go's URL parser that decides whether a `jwksUri` is refused, and with which text. Text in, scheme and port
 * or Go's error out. Called by the CRD rule on `jwksUri` and by the webhook layer.
 * @see https://pkg.go.dev/net/url#Parse
 */

/** `scheme` in lower case, `''` when there is none; `port` as written, `''` when there is none. */
export type GoUrl =
  | { readonly kind: 'ok'; readonly scheme: string; readonly port: string }
  | { readonly kind: 'error'; readonly message: string };

interface Failure {
  readonly error: string;
}
type Split = { readonly scheme: string; readonly rest: string } | Failure;

const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2}).{0,2}/s;
const USERINFO = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;
const HOST_CHARACTER = /[^A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\uffff]/;

/**
 * Parses as `url.Parse` does.
 *
 * @param isRequest as `url.ParseRequestURI` instead: the text must be absolute or begin with `/`, and is not empty
 */
export function parseGoUrl(text: string, isRequest: boolean): GoUrl {
  const parsed = parseParts(isRequest ? text : (text.split('#', 1)[0] ?? ''), isRequest);
  if ('error' in parsed) return { kind: 'error', message: `parse ${JSON.stringify(text)}: ${parsed.error}` };
  return { kind: 'ok', ...parsed };
}

type Parts = { readonly scheme: string; readonly port: string } | Failure;

function parseParts(text: string, isRequest: boolean): Parts {
  if (hasControl(text)) return { error: 'net/url: invalid control character in URL' };
  if (text === '' && isRequest) return { error: 'empty url' };
  const split = splitScheme(text);
  if ('error' in split) return split;
  const { scheme } = split;
  const rest = split.rest.split('?', 1)[0] ?? '';
  if (!rest.startsWith('/')) return rootless(scheme, rest, isRequest);
  const hasAuthority = rest.startsWith('//') && (scheme !== '' || (!isRequest && !rest.startsWith('///')));
  return hasAuthority ? withAuthority(scheme, rest.slice(2)) : (badEscape(rest) ?? { scheme, port: '' });
}

function rootless(scheme: string, rest: string, isRequest: boolean): Parts {
  if (scheme !== '' || rest === '*') return { scheme, port: '' };
  if (isRequest) return { error: 'invalid URI for request' };
  if ((rest.split('/', 1)[0] ?? '').includes(':')) return { error: 'first path segment in URL cannot contain colon' };
  return badEscape(rest) ?? { scheme, port: '' };
}

function withAuthority(scheme: string, rest: string): Parts {
  const slash = rest.indexOf('/');
  const port = parseAuthority(slash < 0 ? rest : rest.slice(0, slash));
  if (typeof port !== 'string') return port;
  return badEscape(slash < 0 ? '' : rest.slice(slash)) ?? { scheme, port };
}

function splitScheme(text: string): Split {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text);
  if (match?.[1] !== undefined) return { scheme: match[1].toLowerCase(), rest: text.slice(match[0].length) };
  return text.startsWith(':') ? { error: 'missing protocol scheme' } : { scheme: '', rest: text };
}

function parseAuthority(authority: string): string | Failure {
  const atSign = authority.lastIndexOf('@');
  if (atSign >= 0 && !USERINFO.test(authority.slice(0, atSign))) return { error: 'net/url: invalid userinfo' };
  const host = authority.slice(atSign + 1);
  const bad = HOST_CHARACTER.exec(host);
  const failure = badEscape(host) ?? (bad === null ? undefined : { error: `invalid character ${JSON.stringify(bad[0])} in host name` });
  return failure ?? portOf(host);
}

function portOf(host: string): string | Failure {
  const isBracketed = host.startsWith('[');
  const bracket = host.lastIndexOf(']');
  if (isBracketed && bracket < 0) return { error: "missing ']' in host" };
  const colon = isBracketed ? bracket + 1 : host.lastIndexOf(':');
  const port = colon < 0 ? '' : host.slice(colon);
  return /^(:\d*)?$/.test(port) ? port.slice(1) : { error: `invalid port ${JSON.stringify(port)} after host` };
}

function badEscape(text: string): Failure | undefined {
  const escape = BAD_ESCAPE.exec(text);
  return escape === null ? undefined : { error: `invalid URL escape ${JSON.stringify(escape[0])}` };
}

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
