/*
 * Finds policies that have no effect because of another policy.
 */
import type { AuthorizationPolicy, Policy } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { dryRunOf } from '../policy/lower/dry-run.ts';
import { type CoverIndex, hasRuleForAll } from './cover/covered-rules.ts';
import { warn } from './shared/lint-finding.ts';
import { covers } from './shared/selection.ts';

/** At most one warning: `policy` has no effect because of another policy that selects all of its pods. */
export function findOvershadowed(policy: AuthorizationPolicy, all: readonly Policy[], index: CoverIndex): readonly Finding[] {
  const { action, rules = [] } = policy.spec;
  const above = all
    .filter((other) => other.kind === 'AuthorizationPolicy')
    .filter((other) => other !== policy && dryRunOf(other.metadata) !== true && covers(other, policy, index.rootNamespace));
  if (action === 'ALLOW' && rules.length === 0) return emptyAllow(above);
  if (action !== 'ALLOW' && action !== 'DENY') return [];
  const denier = above.find((other) => other.spec.action === 'DENY' && hasRuleForAll(other, index));
  if (denier !== undefined) return [unreachable(`${policyName(denier)} denies every request to the same pods`)];
  const allower = action === 'ALLOW' ? above.find((other) => other.spec.action === 'ALLOW' && hasRuleForAll(other, index)) : undefined;
  return allower === undefined ? [] : [unreachable(`${policyName(allower)} allows every request to the same pods`)];
}

/** An ALLOW policy without rules has no effect if another ALLOW policy for the same pods has rules. */
function emptyAllow(above: readonly AuthorizationPolicy[]): readonly Finding[] {
  const twin = above.find(({ spec }) => spec.action === 'ALLOW' && (spec.rules ?? []).length > 0);
  if (twin === undefined) return [];
  const message = `an ALLOW policy without rules allows nothing, and does not deny what ${policyName(twin)} allows`;
  return [warn({ code: 'SP_UNREACHABLE_RULE', path: 'spec', message, hint: 'to deny every request, use DENY with the rule {}' })];
}

function unreachable(why: string): Finding {
  return warn({
    code: 'SP_UNREACHABLE_RULE',
    path: 'spec.rules',
    message: `these rules have no effect: ${why}`,
    hint: 'remove one of the two policies',
  });
}

function policyName({ metadata }: Policy): string {
  return `${metadata.namespace}/${metadata.name}`;
}
