/*
 * Absolute URLs in requests: the absolute form of a request target, and Referer. Accepts what Envoy's parser accepts (observed
 * on 1.40.0), in one pass without regular expressions.
 */
import { isIpLiteral } from '../../policy/match/ip-block.ts';

/** Parts of an absolute URL with an authority. */
export interface HttpUrl {
  /** As written. */
  readonly scheme: string;
  /** Host with port as written, without userinfo. */
  readonly authority: string;
  /** Everything after the authority, fragment included; `/` when empty. */
  readonly pathAndQuery: string;
  readonly hasUserinfo: boolean;
  /** A fragment with at least one character. */
  readonly hasFragment: boolean;
}

const MAX_PORT = 65535;

function isAlpha(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isHostCharacter(code: number): boolean {
  return isAlpha(code) || isDigit(code) || code === 45 || code === 46;
}

/** Bytes allowed in userinfo: letters, digits and `-_.!~*'()%;:&=+$,`. */
function isUserinfoCharacter(code: number): boolean {
  return isAlpha(code) || isDigit(code) || "-_.!~*'()%;:&=+$,".includes(String.fromCharCode(code));
}

function every(value: string, start: number, end: number, test: (code: number) => boolean): boolean {
  for (let i = start; i < end; i++) {
    if (!test(value.charCodeAt(i))) return false;
  }
  return true;
}

/** Splits an absolute URL as Envoy does; `undefined` when `url` is not one. */
export function parseHttpUrl(url: string): HttpUrl | undefined {
  const colon = url.indexOf('://');
  if (colon < 1 || !isScheme(url, colon)) return undefined;
  const start = colon + 3;
  let end = start;
  while (end < url.length && url[end] !== '/' && url[end] !== '?') end++;
  const userinfoEnd = url.lastIndexOf('@', end - 1);
  if (!every(url, start, userinfoEnd, isUserinfoCharacter)) return undefined;
  const authority = url.slice(Math.max(userinfoEnd + 1, start), end);
  if (!isHostAndPort(authority)) return undefined;
  if (!every(url, end, url.length, (code) => code > 32 && code < 127)) return undefined;
  const fragment = url.indexOf('#', end);
  return {
    scheme: url.slice(0, colon),
    authority,
    pathAndQuery: end === url.length ? '/' : url.slice(end),
    hasUserinfo: userinfoEnd > start,
    hasFragment: fragment !== -1 && fragment < url.length - 1,
  };
}

function isScheme(text: string, end: number): boolean {
  if (!isAlpha(text.charCodeAt(0))) return false;
  return every(text, 1, end, (code) => isAlpha(code) || isDigit(code) || code === 43 || code === 45 || code === 46);
}

/** Is `authority` a non-empty host or a bracketed IP address, with an optional port of 0-65535? */
export function isHostAndPort(authority: string): boolean {
  const bracketed = authority.startsWith('[');
  let end = bracketed ? authority.indexOf(']') : authority.indexOf(':');
  if (bracketed) {
    if (!isIpLiteral(authority.slice(1, Math.max(end, 1)))) return false;
    end++;
  } else {
    if (end === -1) end = authority.length;
    if (end === 0 || !every(authority, 0, end, isHostCharacter)) return false;
  }
  if (end === authority.length) return true;
  if (authority[end] !== ':' || end + 1 === authority.length) return false;
  return every(authority, end + 1, authority.length, isDigit) && Number(authority.slice(end + 1)) <= MAX_PORT;
}

/** Bytes of a relative reference other than `:` and `/`: RFC 3986 pchar, `?` and `%`. */
function isRelativeCharacter(code: number): boolean {
  return isAlpha(code) || isDigit(code) || "!$&'()*+,-.;=?@_~%".includes(String.fromCharCode(code));
}

/** Is Referer kept with this value? Valid are an absolute URL without userinfo and fragment, and a relative reference without fragment. */
export function isValidReferer(value: string): boolean {
  const url = parseHttpUrl(value);
  if (url !== undefined) return !url.hasFragment && !url.hasUserinfo;
  let slash = false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code === 47) slash = true;
    else if (code === 58) {
      if (!slash) return false;
    } else if (!isRelativeCharacter(code)) return false;
  }
  return true;
}
