/*
 * Inserts a token into a written request.
 */
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
