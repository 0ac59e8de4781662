/*
 * Why no token was found, in words. In: a JWT rule and the prepared request. Out: where the rule looks, and what stands there
 * or elsewhere that was probably meant for it.
 */
import { firstHeader } from '../http/header-list.ts';
import type { TokenRequest } from '../jwt/token-request.ts';
import type { JwtProvider } from '../policy/model/program.ts';

/** The head of a compact token: a JSON object in base64url, a dot, and another. */
const LIKE_A_TOKEN = /\beyJ[\w-]+\.eyJ[\w-]+\./;

/** One sentence for a rule that found no token in `request`. */
export function strayText(provider: JwtProvider, request: TokenRequest): string {
  const places = [
    ...provider.headers.map(({ name, prefix }) => (prefix === '' ? `header ${name}` : `header ${name} after ${JSON.stringify(prefix)}`)),
    ...provider.params.map((name) => `query parameter ${name}`),
    ...provider.cookies.map((name) => `cookie ${name}`),
  ];
  const note = misplacedNote(provider, request) ?? elsewhereNote(request);
  return `no token in ${places.join(', ')}${note === undefined ? '' : `; ${note}`}`;
}

/** What stands in a header of the rule, and is not found for want of the prefix. */
function misplacedNote({ headers }: JwtProvider, request: TokenRequest): string | undefined {
  for (const { name, prefix } of headers) {
    const value = firstHeader(request.headers, name);
    if (value === undefined) continue;
    const scheme = value.slice(0, prefix.length);
    if (scheme.toLowerCase() === prefix.toLowerCase()) return `${name} begins with ${JSON.stringify(scheme)}, and case counts`;
    if (value.trim() === prefix.trim()) return `${name} holds nothing after ${prefix.trim()}`;
    if (LIKE_A_TOKEN.test(value)) return `${name} holds a token without ${JSON.stringify(prefix)} before it`;
    return `${name} is there, but does not hold ${JSON.stringify(prefix)}`;
  }
  return undefined;
}

/** Where else in the request a token stands. */
function elsewhereNote({ headers, target }: TokenRequest): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const [name = '', value = ''] = headers.slice(index, index + 2);
    if (!LIKE_A_TOKEN.test(value)) continue;
    const pair = name === 'cookie' ? value.split(';').find((one) => LIKE_A_TOKEN.test(one)) : undefined;
    const place = pair === undefined ? `header ${name}` : `cookie ${pair.split('=')[0]?.trim() ?? ''}`;
    return `there is one in ${place}, where the rule does not look (${pair === undefined ? 'fromHeaders' : 'fromCookies'})`;
  }
  const [, query = ''] = target.split('?', 2);
  const parameter = query.split('&').find((one) => LIKE_A_TOKEN.test(one));
  if (parameter === undefined) return undefined;
  return `there is one in query parameter ${parameter.split('=')[0] ?? ''}, where the rule does not look (fromParams)`;
}
