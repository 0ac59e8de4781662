/*
 * Lowers one entry of `spec.rules` for one protocol.
 */
import type { AuthorizationRule } from '../../api/istio/resources.ts';
import type { Clause, Provenance, Rule } from '../model/program.ts';
import { lowerSource } from './from.ts';
import { allOf, DROP_RULE, type Lowered, type RuleContext } from './lowering.ts';
import { lowerOperation } from './to.ts';
import { lowerCondition } from './when.ts';

const ANYTHING: readonly (readonly Clause[])[] = [[]];

/** The lowered rule; `undefined`: a part of it drops the rule. */
export function lowerRule(context: RuleContext, rule: AuthorizationRule, id: string, source: Provenance): Rule | undefined {
  const path = `spec.rules[${source.rule}]`;
  const from = alternatives((rule.from ?? []).map((entry, index) => lowerSource(context, entry.source, `${path}.from[${index}]`)));
  const to = alternatives((rule.to ?? []).map((entry, index) => lowerOperation(context, entry.operation, `${path}.to[${index}]`)));
  const when = allOf((rule.when ?? []).map((condition, index) => lowerCondition(context, condition, `${path}.when[${index}]`)));
  if (from === undefined || to === undefined || when === DROP_RULE) return undefined;
  return { id, source, from, to, when };
}

function alternatives(entries: readonly Lowered[]): readonly (readonly Clause[])[] | undefined {
  if (entries.length === 0) return ANYTHING;
  const kept: (readonly Clause[])[] = [];
  for (const entry of entries) {
    if (entry === DROP_RULE) return undefined;
    kept.push(entry);
  }
  return kept;
}
