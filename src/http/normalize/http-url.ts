/*
 * Absolute URLs in requests: the absolute form of a request target, and Referer. In: text. Out: its parts, or undefined.
 * Accepts what Envoy's parser accepts (observed on 1.40.0), in one pass without regular expressions.
 */
import { isIpLiteral } from '../../policy/match/ip-block.ts';

/** Parts of an absolute URL with an authority. */
export interface HttpUrl {
  /** As written. */
  readonly scheme: string;
  /** Host with port as written, without userinfo. */
  readonly authority: string;
  /** All after the authority, fragment included; `/` when there is nothing. */
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

/** Bytes that may stand in a userinfo: letters, digits and `-_.!~*'()%;:&=+$,`. */
function isUserinfoCharacter(code: number): boolean {
  return isAlpha(code) || isDigit(code) || "-_.!~*'()%;:&=+$,".includes(String.fromCharCode(code));
}

function every(text: string, start: number, end: number, test: (code: number) => boolean): boolean {
  for (let i = start; i < end; i++) {
    if (!test(text.charCodeAt(i))) return false;
  }
  return true;
}

/** Splits an absolute URL as Envoy does; `undefined` when it is none. */
export function parseHttpUrl(text: string): HttpUrl | undefined {
  const colon = text.indexOf('://');
  if (colon < 1 || !isScheme(text, colon)) return undefined;
  const start = colon + 3;
  let end = start;
  while (end < text.length && text[end] !== '/' && text[end] !== '?') end++;
  const userinfoEnd = text.lastIndexOf('@', end - 1);
  if (!every(text, start, userinfoEnd, isUserinfoCharacter)) return undefined;
  const authority = text.slice(Math.max(userinfoEnd + 1, start), end);
  if (!isHostAndPort(authority)) return undefined;
  if (!every(text, end, text.length, (code) => code > 32 && code < 127)) return undefined;
  const fragment = text.indexOf('#', end);
  return {
    scheme: text.slice(0, colon),
    authority,
    pathAndQuery: end === text.length ? '/' : text.slice(end),
    hasUserinfo: userinfoEnd > start,
    hasFragment: fragment !== -1 && fragment < text.length - 1,
  };
}

function isScheme(text: string, end: number): boolean {
  if (!isAlpha(text.charCodeAt(0))) return false;
  return every(text, 1, end, (code) => isAlpha(code) || isDigit(code) || code === 43 || code === 45 || code === 46);
}

/** Is `text` a non-empty host or a bracketed IP address, with an optional port of 0-65535? */
export function isHostAndPort(text: string): boolean {
  const bracketed = text.startsWith('[');
  let end = bracketed ? text.indexOf(']') : text.indexOf(':');
  if (bracketed) {
    if (!isIpLiteral(text.slice(1, Math.max(end, 1)))) return false;
    end++;
  } else {
    if (end === -1) end = text.length;
    if (end === 0 || !every(text, 0, end, isHostCharacter)) return false;
  }
  if (end === text.length) return true;
  if (text[end] !== ':' || end + 1 === text.length) return false;
  return every(text, end + 1, text.length, isDigit) && Number(text.slice(end + 1)) <= MAX_PORT;
}

/** Bytes of a relative reference besides `:` and `/`: RFC 3986 pchar, `?` and `%`. */
function isRelativeCharacter(code: number): boolean {
  return isAlpha(code) || isDigit(code) || "!$&'()*+,-.;=?@_~%".includes(String.fromCharCode(code));
}

/** May a Referer of this value stay in the request? Absolute without userinfo and fragment, or a relative reference without fragment. */
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
