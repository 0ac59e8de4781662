/*
 * The challenge header of the reply to a refused token, and the reason in the access log.
 */
import { firstHeader } from '../http/header-list.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { MISSING, type TokenFault } from './token-fault.ts';
import type { TokenRequest } from './token-request.ts';

const MAX_REALM_PATH = LIMITS.realmPath.value;

/** Parts of the URL of a request. */
export type RequestUrl = Pick<TokenRequest, 'scheme' | 'host' | 'target'>;

/**
 * Value of `www-authenticate` for a refused token. The realm is the URL that the client requested, without the parts that only a
 * token may set; its path is cut after 256 characters and nothing in it is escaped. A request without a token gets no `error`.
 * @param url of the request before any token was removed from it
 * @see RFC 6750, section 3
 */
export function challenge(request: TokenRequest, { scheme, host, target }: RequestUrl, fault: TokenFault): string {
  const path = firstHeader(request.headers, 'x-envoy-original-path') ?? target;
  const realm = `Bearer realm="${scheme}://${host}${path.slice(0, MAX_REALM_PATH)}"`;
  return fault === MISSING ? realm : `${realm}, error="invalid_token"`;
}

/** Envoy's response code details of a refused token, e.g. `jwt_authn_access_denied{Jwt_is_expired}`. */
export function refusalDetails(fault: TokenFault): string {
  return `jwt_authn_access_denied{${fault.replaceAll(' ', '_')}}`;
}
