/*
 * Extracts the tokens of one JWT rule from a request: from headers, then query parameters, then cookies.
 */

import type { HeaderList } from '../http/header-list.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { queryParameter } from './query.ts';
import type { TokenRequest } from './token-request.ts';

/** A token and its location, which is removed from the request after verification. */
export interface ExtractedToken {
  readonly text: string;
  readonly place: 'header' | 'parameter' | 'cookie';
  /** Header name in lower case, parameter or cookie name. */
  readonly name: string;
}

// The first character after the prefix that can begin a token.
const TOKEN_START = /[A-Za-z0-9_.-]/g;

/** All tokens in the locations of `provider`, in the fixed order of locations; empty when there is no token. */
export function extractTokens(provider: JwtProvider, request: TokenRequest): readonly ExtractedToken[] {
  const tokens: ExtractedToken[] = [];
  for (const { name, prefix } of provider.headers) {
    if (isPseudoHeader(name)) {
      for (const value of request.headerValues(name)) {
        const text = tokenInHeader(value, prefix);
        if (text !== undefined) tokens.push({ text, place: 'header', name });
      }
      continue;
    }
    for (let index = 0; index < request.headers.length; index += 2) {
      if (request.headers[index] === name) {
        const text = tokenInHeader(request.headers[index + 1] ?? '', prefix);
        if (text !== undefined) {
          tokens.push({ text, place: 'header', name });
        }
      }
    }
  }
  if (provider.params.length > 0 && request.target.includes('?')) {
    for (const name of provider.params) {
      const text = queryParameter(request.target, name);
      if (text !== undefined) {
        tokens.push({ text, place: 'parameter', name });
      }
    }
  }
  for (const name of provider.cookies) {
    const text = cookie(request.headers, name);
    if (text !== undefined) {
      tokens.push({ text, place: 'cookie', name });
    }
  }
  return tokens;
}

/**
 * The token in one header value: everything from the first token character after `prefix`, at whatever position the prefix is;
 * the whole value when no token character follows. `undefined` when the value does not contain the prefix.
 * @param prefix case-sensitive; `''`: the whole value is the token, even when empty
 */
export function tokenInHeader(value: string, prefix: string): string | undefined {
  if (prefix === '') {
    return value;
  }
  const at = value.indexOf(prefix);
  if (at === -1) {
    return undefined;
  }
  TOKEN_START.lastIndex = at + prefix.length;
  const start = TOKEN_START.exec(value);
  return start === null ? value : value.slice(start.index);
}

/** The first cookie `name`, without one pair of double quotes around its value. */
function cookie(headers: HeaderList, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'cookie') {
      continue;
    }
    for (const piece of (headers[index + 1] ?? '').split(';')) {
      const equals = piece.indexOf('=');
      if (equals !== -1 && withoutLeadingSpaces(piece.slice(0, equals)) === name) {
        const value = piece.slice(equals + 1);
        return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
      }
    }
  }
  return undefined;
}

function withoutLeadingSpaces(name: string): string {
  let start = 0;
  while (name[start] === ' ') {
    start += 1;
  }
  return name.slice(start);
}
