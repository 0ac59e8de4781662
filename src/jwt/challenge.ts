/*
 * What a refused token makes of the reply: the challenge header and the reason in the log. In: the request as it came
 * and the fault. Out: strings. Called by the authenticator when a request is refused.
 */
import { firstHeader } from '../http/header-list.ts';
import { MISSING, type TokenFault } from './status.ts';
import type { TokenRequest } from './token-request.ts';

const MAX_REALM_PATH = 256;

/**
 * Value of `www-authenticate` for a refused token. The realm is the address the client asked for; its path is cut after
 * 256 characters and nothing in it is escaped. A client that sent no token is told of no error.
 * @param target the request target before any token was taken out of it
 * @see RFC 6750, section 3
 */
export function challenge(request: TokenRequest, target: string, fault: TokenFault): string {
  const path = firstHeader(request.headers, 'x-envoy-original-path') ?? target;
  const realm = `Bearer realm="${request.scheme}://${request.host}${path.slice(0, MAX_REALM_PATH)}"`;
  return fault === MISSING ? realm : `${realm}, error="invalid_token"`;
}

/** Envoy's response code details of a refused token, e.g. `jwt_authn_access_denied{Jwt_is_expired}`. */
export function refusalDetails(fault: TokenFault): string {
  return `jwt_authn_access_denied{${fault.replaceAll(' ', '_')}}`;
}
