/*
 * Puts a token into a request that is written down. In: the request and the token. Out: the request with it.
 */
import { headerPairs, type RequestSpec } from './request-spec.ts';

const MARK = '${token}';

/** The token stands where the path or a header says `${token}`; when none does, in `Authorization: Bearer`. */
export function withToken(spec: RequestSpec, token: string | undefined): RequestSpec {
  if (token === undefined) return spec;
  const fill = (text: string): string => text.replaceAll(MARK, () => token);
  const pairs = headerPairs(spec.headers);
  const isMarked = spec.path?.includes(MARK) === true || pairs.some(([, value]) => value.includes(MARK));
  const filled = pairs.map(([name, value]): [string, string] => [name, fill(value)]);
  return {
    ...spec,
    ...(spec.path === undefined ? {} : { path: fill(spec.path) }),
    headers: isMarked ? filled : [...filled, ['Authorization', `Bearer ${token}`]],
  };
}
