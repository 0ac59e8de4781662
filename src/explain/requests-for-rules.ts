/*
 * Generates requests that reach both sides of every rule: one that the rule matches, and for each clause one that misses the rule
 * by that clause alone, as far as the values in the rule allow.
 */
import type { Clause, Program, Rule } from '../policy/model/program.ts';
import { type Aim, requestPartFor } from './clause-request-part.ts';
import { type GeneratedRequest, withClaim } from './generated-request.ts';

/** The HTTP rules of every action, including dry-run ones. */
export function httpRulesOf({ http }: Program): readonly Rule[] {
  const { custom, audit, deny, allow, dryRunDeny, dryRunAllow } = http;
  return [...custom, audit, deny, allow, dryRunDeny, dryRunAllow].flatMap(({ rules }) => rules);
}

/** Requests for each alternative of each rule: every `from` with the first `to`, and every further `to` with the first `from`. */
export function* requestsForRules(programs: readonly Program[]): Generator<GeneratedRequest> {
  for (const program of programs) {
    for (const { to, from, when } of httpRulesOf(program)) {
      const [operation = []] = to;
      for (const source of from) yield* requestsForClauses([...operation, ...source, ...when], program);
      const [source = []] = from;
      for (const other of to.slice(1)) yield* requestsForClauses([...other, ...source, ...when], program);
    }
  }
}

function* requestsForClauses(clauses: readonly Clause[], program: Program): Generator<GeneratedRequest> {
  yield requestFor(clauses, undefined, program);
  for (const clause of clauses) yield requestFor(clauses, clause, program);
}

/** @param missed the clause that should not match; undefined: all should match */
function requestFor(clauses: readonly Clause[], missed: Clause | undefined, program: Program): GeneratedRequest {
  const issuers = program.providers.map(({ issuer }) => issuer);
  let request: GeneratedRequest = { method: 'GET', path: '/', headers: [] };
  for (const clause of clauses) {
    const aim: Aim = clause === missed ? 'miss' : 'hit';
    const { claims, headers = [], ...rest } = requestPartFor(clause, aim, issuers);
    request = { ...request, ...rest, headers: [...request.headers, ...headers] };
    for (const { path, value } of claims ?? []) request = { ...request, claims: withClaim(request.claims ?? {}, path, value) };
  }
  return request.claims === undefined ? request : { ...request, claims: acceptedClaims(request.claims, program) };
}

/** `claims` with the issuer and audience that their JWT rule requires, unless present. Without an issuer, the first rule counts. */
function acceptedClaims(claims: NonNullable<GeneratedRequest['claims']>, { providers }: Program): typeof claims {
  const provider = providers.find(({ issuer }) => issuer === claims['iss']) ?? providers[0];
  if (provider === undefined) return claims;
  const [audience] = provider.audiences;
  return { iss: provider.issuer, ...(audience !== undefined && { aud: audience }), ...claims };
}
