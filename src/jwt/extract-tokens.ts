/*
 * Finds the tokens of one rule in a request: headers, then query parameters, then cookies. In: the prepared request and
 * the rule's locations. Out: every token with the place it came from, in extraction order. Called per rule and request.
 */
import type { JwtProvider } from '../policy/model/program.ts';
import { queryParameter } from './query.ts';
import type { TokenRequest } from './token-request.ts';

/** A token and where it was; the place is what is removed after verification. */
export interface ExtractedToken {
  readonly text: string;
  readonly place: 'header' | 'parameter' | 'cookie';
  /** Header name in lower case, parameter or cookie name. */
  readonly name: string;
}

// The first character that may begin a token after a prefix.
const TOKEN_START = /[A-Za-z0-9_.-]/g;

/** All tokens of `provider`'s locations in `request`, in the fixed order of locations. Empty: there is none. */
export function extractTokens(provider: JwtProvider, request: TokenRequest): readonly ExtractedToken[] {
  const tokens: ExtractedToken[] = [];
  for (const { name, prefix } of provider.headers) {
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
 * The token in one header value: everything from the first token character after `prefix`, wherever the prefix is; the
 * whole value when no such character follows. `undefined`: the prefix is not there.
 * @param prefix case counts; `''`: the whole value is the token, even an empty one
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
function cookie(headers: readonly string[], name: string): string | undefined {
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

function withoutLeadingSpaces(text: string): string {
  let start = 0;
  while (text[start] === ' ') {
    start += 1;
  }
  return text.slice(start);
}
