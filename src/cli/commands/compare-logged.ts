/*
 * Requests of an access log in `sallyport diff`. A request whose decision may depend on what the log does not have is counted apart.
 */
import type { ComparedPolicies } from '../../explain/diff-decisions.ts';
import type { GeneratedClaims, TokenPlace } from '../../explain/generate/generated-request.ts';
import { placesOf } from '../../explain/generate/solve-tokens.ts';
import { unknownInputs } from '../../explain/logged-request.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { AccessLine } from '../input/access-log-line.ts';
import { loggedToken, takesAlike } from '../input/logged-token.ts';
import type { RequestSpec } from '../input/request-spec.ts';

/** A request of an access log, with the token that stands for its own. */
export interface LoggedEntry {
  readonly spec: RequestSpec;
  readonly claims: GeneratedClaims | undefined;
  readonly place: TokenPlace | undefined;
  /** What the decision on either side may depend on and the log does not have; empty: it can be compared. */
  readonly missing: (request: RawRequest) => readonly string[];
}

/** The request of `line`. The policies before are taken for those that were enforced when it was logged. */
export function loggedEntry(line: AccessLine, { before, after }: ComparedPolicies): LoggedEntry {
  const { known, claims, provider } = loggedToken(line, before.program);
  const isAlike = provider === undefined || takesAlike(after.program, provider);
  return {
    spec: line.spec,
    claims,
    place: provider === undefined ? undefined : placesOf(provider)[0],
    missing(request) {
      if (!isAlike) return ['the token'];
      return [before, after].flatMap(({ program }) => unknownInputs(program, { request, token: known }));
    },
  };
}

/** Counts requests that are not compared. */
export interface UnknownCount {
  /** @returns false: its decision is not known to differ */
  readonly add: (inputs: readonly string[]) => false;
  readonly result: () => { readonly requests: number; readonly inputs: readonly string[] };
}

/** Without any request. */
export function createUnknownCount(): UnknownCount {
  let requests = 0;
  const inputs = new Set<string>();
  return {
    add(missing) {
      requests += 1;
      for (const one of missing) inputs.add(one);
      return false;
    },
    result: () => ({ requests, inputs: [...inputs] }),
  };
}
