/*
 * Policies that another policy leaves without effect. In: one policy and all. Out: warnings. Called by lintPolicies.
 */
import type { AuthorizationPolicy, Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { dryRunOf } from '../policy/lower/dry-run.ts';
import { hasRuleForAll, warn } from './shared/lint-finding.ts';
import { covers } from './shared/selection.ts';

/** Why `policy` changes nothing, from what else selects all of its pods; at most one warning. */
export function findOvershadowed(policy: AuthorizationPolicy, all: readonly Policy[], rootNamespace: string): readonly Finding[] {
  const { action, rules = [] } = policy.spec;
  const above = all
    .filter((other) => other.kind === 'AuthorizationPolicy')
    .filter((other) => other !== policy && dryRunOf(other.metadata) !== true && covers(other, policy, rootNamespace));
  if (action === 'ALLOW' && rules.length === 0) return emptyAllow(above);
  if (action !== 'ALLOW' && action !== 'DENY') return [];
  const denier = above.find((other) => other.spec.action === 'DENY' && hasRuleForAll(other));
  if (denier !== undefined) return [unreachable(`${nameOf(denier)} denies every request to the same pods`)];
  const allower = action === 'ALLOW' ? above.find((other) => other.spec.action === 'ALLOW' && hasRuleForAll(other)) : undefined;
  return allower === undefined ? [] : [unreachable(`${nameOf(allower)} allows every request to the same pods`)];
}

/** Beside an ALLOW policy with rules for the same pods, one without rules neither allows nor denies anything more. */
function emptyAllow(above: readonly AuthorizationPolicy[]): readonly Finding[] {
  const twin = above.find(({ spec }) => spec.action === 'ALLOW' && (spec.rules ?? []).length > 0);
  if (twin === undefined) return [];
  const message = `without rules it allows nothing, and denies nothing that ${nameOf(twin)} allows`;
  return [warn({ code: 'SP_UNREACHABLE_RULE', path: 'spec', message, hint: 'to refuse everything, use DENY with the rule {}' })];
}

function unreachable(why: string): Finding {
  return warn({
    code: 'SP_UNREACHABLE_RULE',
    path: 'spec.rules',
    message: `these rules change nothing: ${why}`,
    hint: 'remove one of the two',
  });
}

function nameOf({ metadata }: Policy): string {
  return `${metadata.namespace}/${metadata.name}`;
}
