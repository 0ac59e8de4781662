/*
 * Path and headers of an HTTP check.
 * @see Envoy source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc
 */
import { isChangeableRequestHeader } from '../../http/header-changes.ts';
import { type CheckRequest, PARTIAL_BODY_HEADER } from './check-request.ts';
import type { NameTest } from './header-patterns.ts';

/** The provider's prefix before the path with query. */
export function checkPath({ provider, check }: CheckRequest): string {
  return (provider.pathPrefix ?? '') + check.request.target;
}

/**
 * Flat header list of the check: Host, Authorization, what `included` selects, the provider's additional headers, Content-Length. Several
 * instances of a header become one, joined by commas; even cookies, as in Envoy, so that a server sees the same here as there.
 */
export function checkHeaders({ provider, check, body }: CheckRequest, included: NameTest | undefined): readonly string[] {
  const valueByName = new Map([['host', check.request.host]]);
  const { headers } = check.request;
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name === 'authorization' || (isCarried(name) && included?.(name) === true)) {
      const before = valueByName.get(name);
      const value = headers[index + 1] ?? '';
      valueByName.set(name, before === undefined ? value : `${before},${value}`);
    }
  }
  if (body !== undefined) valueByName.set(PARTIAL_BODY_HEADER, String(body.partial));
  for (const [name, value] of Object.entries(provider.includeAdditionalHeadersInCheck ?? {})) {
    const lower = name.toLowerCase();
    if (lower === 'host' || isChangeableRequestHeader(lower)) valueByName.set(lower, value);
  }
  return [...[...valueByName].flat(), 'content-length', String(body?.bytes.length ?? 0)];
}

function isCarried(name: string): boolean {
  return isChangeableRequestHeader(name) && name !== 'expect' && name !== PARTIAL_BODY_HEADER;
}
