/*
 * The token of a request of an access log: the log has issuer and subject, nothing else.
 */
import type { GeneratedClaims } from '../../explain/generate/generated-request.ts';
import { splitPrincipal } from '../../explain/logged-request.ts';
import type { JwtProvider, Program } from '../../policy/model/program.ts';
import type { AccessLine } from './access-log-line.ts';

/** What is known of the token. */
export interface LoggedToken {
  /** Issuer and subject; `none`: there was no token that a JWT rule looks at. */
  readonly known: GeneratedClaims | 'none' | 'unknown';
  /** Claims of a token to evaluate the request with: an audience that the JWT rule accepts is added. Absent: none. */
  readonly claims?: GeneratedClaims;
  readonly provider?: JwtProvider;
}

/** The token of `line`. @param program that decided the request, or one with the same JWT rules */
export function loggedToken({ principal, isTokenKnown }: AccessLine, { providers }: Program): LoggedToken {
  if (!isTokenKnown) return { known: 'unknown' };
  if (principal === '') return { known: providers.length === 0 ? 'unknown' : 'none' };
  const split = splitPrincipal(principal, providers);
  if (split === undefined) return { known: 'unknown' };
  const [audience] = split.provider.audiences;
  const { claims, provider } = split;
  return { known: claims, claims: audience === undefined ? claims : { ...claims, aud: audience }, provider };
}

/** Does `program` take the token as the rule `provider` did: from the same places, for the same audiences? */
export function takesAlike({ providers }: Program, provider: JwtProvider): boolean {
  const places = ({ headers, params, cookies, audiences }: JwtProvider): string => JSON.stringify([headers, params, cookies, audiences]);
  return providers.every((one) => one.issuer !== provider.issuer || places(one) === places(provider));
}
