/*
 * Requests made for rules. In: programs. Out: for each rule a request that it matches, and ones that miss it by a single clause,
 * as far as a request can be made of what the rule says. Called by generate-requests.
 */
import type { Clause, Program, Rule } from '../policy/model/program.ts';
import { type Aim, attributeOf } from './aimed-attribute.ts';
import { type GeneratedRequest, withClaim } from './made-up-request.ts';

/** The rules for HTTP of every step. */
export function rulesOf({ http }: Program): readonly Rule[] {
  const { custom, audit, deny, allow, dryRunDeny, dryRunAllow } = http;
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
}

/** Each alternative of each rule once, with the first of the other part. */
export function* requestsForRules(programs: readonly Program[]): Generator<GeneratedRequest> {
  for (const program of programs) {
    for (const { to, from, when } of rulesOf(program)) {
      const [operation = []] = to;
      for (const source of from) yield* requestsForClauses([...operation, ...source, ...when], program);
      const [source = []] = from;
      for (const other of to.slice(1)) yield* requestsForClauses([...other, ...source, ...when], program);
    }
  }
}

function* requestsForClauses(clauses: readonly Clause[], program: Program): Generator<GeneratedRequest> {
  yield requestOf(clauses, undefined, program);
  for (const clause of clauses) yield requestOf(clauses, clause, program);
}

/** @param missed the clause that is not to hold */
function requestOf(clauses: readonly Clause[], missed: Clause | undefined, program: Program): GeneratedRequest {
  const issuers = program.providers.map(({ issuer }) => issuer);
  let request: GeneratedRequest = { method: 'GET', path: '/', headers: [] };
  for (const clause of clauses) {
    const aim: Aim = clause === missed ? 'miss' : 'hit';
    const { claims, headers = [], ...rest } = attributeOf(clause, aim, issuers);
    request = { ...request, ...rest, headers: [...request.headers, ...headers] };
    for (const { path, value } of claims ?? []) request = { ...request, claims: withClaim(request.claims ?? {}, path, value) };
  }
  return request.claims === undefined ? request : { ...request, claims: acceptedClaims(request.claims, program) };
}

/** Adds what the JWT rule for these claims wants of a token, where they say nothing of it; the first rule, where no issuer is named. */
function acceptedClaims(claims: NonNullable<GeneratedRequest['claims']>, { providers }: Program): typeof claims {
  const provider = providers.find(({ issuer }) => issuer === claims['iss']) ?? providers[0];
  if (provider === undefined) return claims;
  const [audience] = provider.audiences;
  return { iss: provider.issuer, ...(audience !== undefined && { aud: audience }), ...claims };
}
