/*
 * Inserts a token into a written request.
 */
import type { TokenPlace } from '../../explain/generate/generated-request.ts';
import { headerPairs, type RequestSpec } from './request-spec.ts';

const PLACEHOLDER = '${token}';

/**
 * `spec` with `token` in place of every `${token}` in the path and the header values; without a placeholder the token goes into
 * `Authorization: Bearer`. An absent token changes nothing.
 */
export function insertToken(spec: RequestSpec, token: string | undefined): RequestSpec {
  if (token === undefined) return spec;
  const fill = (text: string): string => text.replaceAll(PLACEHOLDER, () => token);
  const pairs = headerPairs(spec.headers);
  const hasPlaceholder = spec.path?.includes(PLACEHOLDER) === true || pairs.some(([, value]) => value.includes(PLACEHOLDER));
  const filled = pairs.map(([name, value]): [string, string] => [name, fill(value)]);
  return {
    ...spec,
    ...(spec.path === undefined ? {} : { path: fill(spec.path) }),
    headers: hasPlaceholder ? filled : [...filled, ['Authorization', `Bearer ${token}`]],
  };
}

/** `spec` with `token` at `place`: in a separate header or what a pseudo header repeats, in the query, or as a cookie. */
export function placeToken(spec: RequestSpec, token: string, place: TokenPlace): RequestSpec {
  const pairs = headerPairs(spec.headers);
  switch (place.kind) {
    case 'header':
      return placeInHeader(spec, `${place.prefix}${token}`, place);
    case 'cookie':
      return { ...spec, headers: [...pairs, ['cookie', `${place.name}=${token}`]] };
    case 'parameter': {
      const { path = '/' } = spec;
      return { ...spec, path: `${path}${path.includes('?') ? '&' : '?'}${encodeURIComponent(place.name)}=${token}` };
    }
  }
}

function placeInHeader(spec: RequestSpec, value: string, { name, prefix }: Extract<TokenPlace, { readonly kind: 'header' }>): RequestSpec {
  switch (name) {
    case ':path':
      return { ...spec, path: withToken(spec.path ?? '/', value, prefix) };
    case ':method':
      return { ...spec, method: value };
    case ':authority':
    case 'host':
      return { ...spec, host: value };
    default:
      return { ...spec, headers: [...headerPairs(spec.headers), [name, value]] };
  }
}

/** The token ends the target: it begins behind the first prefix, wherever that is. */
function withToken(path: string, value: string, prefix: string): string {
  const at = path.indexOf(prefix);
  if (at !== -1) return path.slice(0, at) + value;
  return path.endsWith('/') && value.startsWith('/') ? path + value.slice(1) : path + value;
}
