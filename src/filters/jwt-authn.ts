/*
 * The jwt_authn filter: RequestAuthentication policies.
 */
import type { Authentication, AuthenticationFailure } from '../jwt/authenticator.ts';
import { deny, type FilterContext, logOf, type RequestContext } from './filter-context.ts';
import type { ReplyVerdict } from './verdict.ts';

/** The identity of the request, or the reply to a request whose token is refused. Edits the request as the JWT rules demand. */
export function runJwtAuthn(
  { authenticator }: FilterContext,
  request: RequestContext,
): Exclude<Authentication, AuthenticationFailure> | ReplyVerdict {
  const authentication = authenticator.authenticate(request.prepared, request.nowSeconds);
  return authentication.kind === 'refused' ? refuse(request, authentication) : authentication;
}

function refuse(request: RequestContext, { reply, rule }: AuthenticationFailure): ReplyVerdict {
  const log = logOf(request, reply.status === 403 ? 'deny' : 'unauthenticated', reply.details);
  return deny(request, reply, { ...log, jwtRule: rule });
}
