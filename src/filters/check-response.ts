/*
 * CheckResponse: what an ext_authz server decided about a request.
 */
import type { HeaderChange } from '../http/header-changes.ts';
import { type HeaderList, NO_HEADERS } from '../http/header-list.ts';
import type { LocalReply } from '../http/local-reply.ts';

/** Result of a check: the server allowed the request, or the reply that ends it (denied, or the check failed). */
export type CheckResponse = CheckAllowed | LocalReply;

/** Changes that the ext_authz server requests. Header names are lower-case; each value is one line of latin1 characters. */
export interface CheckAllowed {
  readonly kind: 'allow';
  /** Replace every header of the name. */
  readonly setHeaders: HeaderList;
  readonly removeHeaders: readonly string[];
  /** Each value is joined by a comma to a header that the request has, and dropped otherwise. Applied after setting, before removing. */
  readonly appendHeaders?: HeaderList;
  /** Name, value …; replace all query parameters of the name. */
  readonly setQuery?: readonly string[];
  readonly removeQuery?: readonly string[];
  /** Changes of the response, whether the upstream or the agent makes it. */
  readonly downstreamHeaders?: readonly HeaderChange[];
}

/** Allows the request and changes nothing. */
export const CHECK_ALLOWED: CheckAllowed = Object.freeze({ kind: 'allow', setHeaders: NO_HEADERS, removeHeaders: NO_HEADERS });

/** Envoy's details of a request, or a connection, that an ext_authz server denied. */
export const EXT_AUTHZ_DENIED = 'ext_authz_denied';
const EXT_AUTHZ_ERROR = 'ext_authz_error';

/** The server denied the request. @param headers lower-case names */
export function checkDenied(
  status: number,
  body: string,
  headers: HeaderList = NO_HEADERS,
  details: string = EXT_AUTHZ_DENIED,
): LocalReply {
  return { kind: 'reply', status, body, headers, close: false, details };
}

/** There is no usable response of the server, and the provider does not fail open. */
export function checkFailed(status: number, details: string = EXT_AUTHZ_ERROR): LocalReply {
  return { kind: 'reply', status, body: '', headers: NO_HEADERS, close: false, details };
}
