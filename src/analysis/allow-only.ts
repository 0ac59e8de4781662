/*
 * Programs that let in what given rules match, and nothing else.
 */
import type { Engine, Program, Rule, Ruleset } from '../policy/model/program.ts';

/** Rules for each protocol, in the order of evaluation. */
export type RulesByProtocol = Readonly<Record<'http' | 'tcp', readonly Rule[]>>;

const NONE: Engine = { attached: false, rules: [] };

/** `program` with `rules` as its ALLOW rules, and no others. JWT rules stay. */
export function allowOnly(program: Program, { http, tcp }: RulesByProtocol): Program {
  return { ...program, http: allowRuleset(http), tcp: allowRuleset(tcp) };
}

/** Lets in what `rules` match. */
export function allowRuleset(rules: readonly Rule[]): Ruleset {
  return { custom: [], audit: NONE, deny: NONE, allow: { attached: true, rules }, dryRunDeny: NONE, dryRunAllow: NONE };
}
