/*
 * Rules that hide a difference: a DENY rule that matches the request before the rule in question, or an ALLOW rule of both programs
 * that allows it anyway.
 */

import { createEvaluator } from '../../policy/decide/evaluator.ts';
import type { Claims, RequestFacts } from '../../policy/facts.ts';
import type { Clause, Program, Rule } from '../../policy/model/program.ts';
import { type Constraint, meets } from './draft.ts';
import { pick, type Random } from './random.ts';
import type { RuleTarget } from './rule-targets.ts';

/** Finds what hides the target. */
export interface Obstacles {
  /** A rule that hides `target` from a request; undefined: none. */
  readonly hiding: (target: RuleTarget | undefined, facts: RequestFacts, claims: Claims | undefined) => Rule | undefined;
}

/** The obstacles among the targets of two programs. */
export function createObstacles(targets: readonly RuleTarget[], [before]: readonly [Program, Program]): Obstacles {
  const rulesWith = (role: 'allow' | 'deny', isCommon: boolean): readonly Rule[] =>
    targets.filter((target) => target.role === role && !(isCommon && target.differs)).map(({ rule }) => rule);
  const evaluatorOf = (deny: readonly Rule[], allow: readonly Rule[]): ReturnType<typeof createEvaluator> =>
    createEvaluator({
      ...before,
      http: { ...before.http, custom: [], audit: NONE, dryRunDeny: NONE, dryRunAllow: NONE, deny: engine(deny), allow: engine(allow) },
    });
  const common = evaluatorOf(rulesWith('deny', true), rulesWith('allow', true));
  const every = evaluatorOf(rulesWith('deny', false), []);
  return {
    hiding(target, plain, claims) {
      const facts = claims === undefined ? plain : { ...plain, claims };
      if (target?.role === 'deny') {
        const { reason, rule } = common.decide(facts);
        return reason === 'deny-rule' && target.differs ? rule : undefined;
      }
      if (target?.role !== 'allow') return undefined;
      const { rule } = (target.differs ? common : every).decide(facts);
      return rule === target.rule ? undefined : rule;
    },
  };
}

const NONE = { attached: false, rules: [] };

function engine(rules: readonly Rule[]): { readonly attached: boolean; readonly rules: readonly Rule[] } {
  return { attached: true, rules };
}

/** Constraints under which `rule` no longer matches a request with these facts: one part of the rule fails in every alternative. */
export function missOf({ from, to, when }: Rule, facts: RequestFacts, claims: Claims | undefined, random: Random): readonly Constraint[] {
  const parts = [from, to, [when]].filter((alternatives) => alternatives.every((clauses) => clauses.length > 0));
  const isMatched = (clauses: readonly Clause[]): boolean => clauses.every((clause) => meets({ clause, holds: true }, facts, claims));
  return (pick(parts, random) ?? []).filter(isMatched).flatMap((clauses) => {
    const clause = pick(clauses, random);
    return clause === undefined ? [] : [{ clause, holds: false }];
  });
}
