/*
 * The jwt_authn filter: RequestAuthentication policies.
 */
import type { Authentication, AuthenticationFailure } from '../jwt/authenticator.ts';
import { deny, type FilterContext, logOf, type RequestContext } from './filter-context.ts';
import type { ReplyVerdict } from './verdict.ts';

/** The identity of a request whose tokens were accepted, or that has none. */
export type AcceptedIdentity = Exclude<Authentication, AuthenticationFailure>;

/** The identity of the request, or the reply to a request whose token is refused. Edits the request as the JWT rules demand. */
export function runJwtAuthn({ authenticator }: FilterContext, request: RequestContext): AcceptedIdentity | ReplyVerdict {
  return resultOf(request, authenticator.authenticate(request.prepared, request.nowSeconds));
}

/** The same without verifying a token; `undefined`: a token is not cached. */
export function runJwtAuthnOnKnown({ authenticator }: FilterContext, request: RequestContext): AcceptedIdentity | ReplyVerdict | undefined {
  const authentication = authenticator.authenticateKnown(request.prepared, request.nowSeconds);
  return authentication === undefined ? undefined : resultOf(request, authentication);
}

function resultOf(request: RequestContext, authentication: Authentication): AcceptedIdentity | ReplyVerdict {
  return authentication.kind === 'refused' ? refuse(request, authentication) : authentication;
}

function refuse(request: RequestContext, { reply, rule }: AuthenticationFailure): ReplyVerdict {
  const log = logOf(request, reply.status === 403 ? 'deny' : 'unauthenticated', reply.details);
  return deny(request, reply, { ...log, jwtRule: rule });
}
