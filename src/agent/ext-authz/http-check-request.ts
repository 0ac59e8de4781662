/*
 * Path and headers of an HTTP check.
 * @see Envoy source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc
 */
import type { FormatContext, HeaderFormat } from '../../api/header-format.ts';
import type { CheckVerdict } from '../../filters/verdict.ts';
import { isChangeableRequestHeader } from '../../http/header-changes.ts';
import { firstHeader } from '../../http/header-list.ts';
import { type CheckRequest, httpProtocol, PARTIAL_BODY_HEADER } from './check-request.ts';
import type { NameTest } from './header-patterns.ts';

/** The provider's prefix before the path with query. */
export function checkPath({ provider, check }: CheckRequest): string {
  return (provider.pathPrefix ?? '') + check.request.target;
}

/** Which headers a check carries in addition to Host and Authorization. */
export interface CarriedHeaders {
  /** Absent: no others of the client. */
  readonly included: NameTest | undefined;
  /** Additional headers: lower-case name and value. */
  readonly additional: readonly (readonly [string, HeaderFormat])[];
}

/**
 * Flat header list of the check: Host, Authorization, what `included` selects, the provider's additional headers, Content-Length. Several
 * instances of a header become one, joined by commas; even cookies, as in Envoy, so that a server sees the same here as there.
 */
export function checkHeaders({ check, body }: CheckRequest, { included, additional }: CarriedHeaders): readonly string[] {
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
  for (const [name, format] of additional) {
    const value = format(formatContext(check));
    // As in Envoy, an empty value adds nothing.
    if (value !== '' && (name === 'host' || isChangeableRequestHeader(name))) valueByName.set(name, value);
  }
  return [...[...valueByName].flat(), 'content-length', String(body?.bytes.length ?? 0)];
}

function isCarried(name: string): boolean {
  return isChangeableRequestHeader(name) && name !== 'expect' && name !== PARTIAL_BODY_HEADER;
}

/** What the formats of additional headers read: the request as policies see it. */
function formatContext({ request, scheme, version, remoteIp }: CheckVerdict): FormatContext {
  return {
    protocol: httpProtocol(version),
    remoteAddress: remoteIp,
    header(name) {
      switch (name) {
        case 'host':
        case ':authority':
          return request.host;
        case ':path':
          return request.target;
        case ':method':
          return request.method;
        case ':scheme':
          return scheme;
        default:
          return firstHeader(request.headers, name);
      }
    },
  };
}
