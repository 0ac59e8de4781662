/*
 * Invariants as pairs of programs: an invariant holds if and only if the second program lets in nothing that the first refuses.
 */
import type { Clause, JwtProvider, Program, Rule, Ruleset } from '../policy/model/program.ts';
import { allowOnly, type RulesByProtocol } from './allow-only.ts';

/** A program that refuses, and one that lets in. */
export type ProgramPair = readonly [refusing: Program, admitting: Program];

/** The program lets in nothing that `rules` match. */
export function neverAllowed(program: Program, rules: RulesByProtocol): ProgramPair {
  const denying = (ruleset: Ruleset, own: readonly Rule[]): Ruleset => ({
    ...ruleset,
    deny: { attached: true, rules: sorted([...ruleset.deny.rules, ...own]) },
  });
  return [{ ...program, http: denying(program.http, rules.http), tcp: denying(program.tcp, rules.tcp) }, program];
}

/** The program lets in whatever `rules` match, except for requests whose token no JWT rule accepts: those are refused anywhere. */
export function alwaysAllowed(program: Program, rules: RulesByProtocol): ProgramPair {
  const optional = (provider: JwtProvider): JwtProvider => ({ ...provider, required: false });
  const ordered = { http: sorted(rules.http), tcp: sorted(rules.tcp) };
  return [program, allowOnly({ ...program, providers: program.providers.map(optional) }, ordered)];
}

/** Rules are evaluated in the order of their ids. */
function sorted(rules: readonly Rule[]): readonly Rule[] {
  return rules.toSorted((one, other) => (one.id < other.id ? -1 : Number(one.id > other.id)));
}

/**
 * Entries that match exactly where none of `entries` does; undefined: they would be more than `limit`. Every entry of the result breaks one
 * clause of each entry of `entries`.
 */
export function complementOf(entries: readonly (readonly Clause[])[], limit: number): readonly (readonly Clause[])[] | undefined {
  let found: readonly (readonly Clause[])[] = [[]];
  for (const entry of entries) {
    const opposites = entry.flatMap(oppositesOf);
    if (found.length * opposites.length > limit) return undefined;
    found = found.flatMap((before) => opposites.map((clause) => [...before, clause]));
  }
  return found;
}

/** Clauses of which one holds exactly where `clause` fails. */
function oppositesOf(clause: Clause): readonly Clause[] {
  const { anyOf, noneOf, ...attribute } = clause as Clause & { readonly anyOf?: readonly unknown[]; readonly noneOf?: readonly unknown[] };
  return [
    ...(anyOf === undefined ? [] : [{ ...attribute, noneOf: anyOf } as Clause]),
    ...(noneOf === undefined ? [] : [{ ...attribute, anyOf: noneOf } as Clause]),
  ];
}
