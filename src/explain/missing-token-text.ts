/*
 * Says why a JWT rule found no token: where it looked, and which token elsewhere in the request was probably intended for it.
 */
import { firstHeader } from '../http/header-list.ts';
import type { TokenRequest } from '../jwt/token-request.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { hasToken } from './token-marks.ts';

/** One sentence for a rule that found no token in `request`. */
export function missingTokenText(provider: JwtProvider, request: TokenRequest): string {
  const places = [
    ...provider.headers.map(({ name, prefix }) => (prefix === '' ? `header ${name}` : `header ${name} after ${JSON.stringify(prefix)}`)),
    ...provider.params.map((name) => `query parameter ${name}`),
    ...provider.cookies.map((name) => `cookie ${name}`),
  ];
  const note = prefixNote(provider, request) ?? elsewhereNote(request);
  return `no token in ${places.join(', ')}${note === undefined ? '' : `; ${note}`}`;
}

/** What is in a header of the rule if its value lacks the prefix. */
function prefixNote({ headers }: JwtProvider, request: TokenRequest): string | undefined {
  for (const { name, prefix } of headers) {
    const value = firstHeader(request.headers, name);
    if (value === undefined) continue;
    const scheme = value.slice(0, prefix.length);
    if (scheme.toLowerCase() === prefix.toLowerCase())
      return `${name} starts with ${JSON.stringify(scheme)}, but the prefix is case-sensitive`;
    if (value.trim() === prefix.trim()) return `${name} has nothing after ${prefix.trim()}`;
    if (hasToken(value)) return `${name} has a token without ${JSON.stringify(prefix)} before it`;
    return `${name} is present but does not start with ${JSON.stringify(prefix)}`;
  }
  return undefined;
}

/** Where else in the request a token is. */
function elsewhereNote({ headers, target }: TokenRequest): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = headers.slice(index, index + 2);
    if (!hasToken(value)) continue;
    const pair = name === 'cookie' ? value.split(';').find((one) => hasToken(one)) : undefined;
    const place = pair === undefined ? `header ${name}` : `cookie ${pair.split('=')[0]?.trim() ?? ''}`;
    return `there is one in ${place}, where the rule does not look (${pair === undefined ? 'fromHeaders' : 'fromCookies'})`;
  }
  const [, query = ''] = target.split('?', 2);
  const parameter = query.split('&').find((one) => hasToken(one));
  if (parameter === undefined) return undefined;
  return `there is one in query parameter ${parameter.split('=')[0] ?? ''}, where the rule does not look (fromParams)`;
}
