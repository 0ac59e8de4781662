/*
 * The condition `Enforced` of a policy: on how many of all selected workloads an agent enforces it, and what is missing on the
 * others. Workloads without an agent, those that cannot have one, and namespaces without injection are counted apart, because
 * different people fix them.
 */
import type { PolicyEntry } from '../state/cluster-state.ts';
import type { ReasonOf } from './condition-reasons.ts';
import type { Draft, PolicyFacts } from './conditions.ts';
import { describeActive, describeRefusal, listNames, sentences } from './sentences.ts';

/** The condition. `True`: every selected workload enforces the policy, or it selects none. */
export function enforcedOf(entry: PolicyEntry, facts: PolicyFacts): Draft<'Enforced'> {
  const draft = (status: 'True' | 'False', reason: ReasonOf<'Enforced'>, message: string): Draft<'Enforced'> => ({
    type: 'Enforced',
    status,
    reason,
    message,
  });
  if (entry.refusal !== undefined) return draft('False', 'OverBudget', describeRefusal(entry.refusal));
  if (entry.active === undefined) return draft('False', 'NotEnforced', describeActive(entry));
  const { enforced, total } = countWorkloads(facts);
  if (facts.isDryRun) return draft('False', 'DryRun', 'The policy is evaluated and logged, but never decides');
  if (total === 0) return draft('True', 'SelectsNothing', 'Selects no workload');
  const message = sentences([`Enforced on ${enforced} of ${total} selected workloads`, ...gaps(facts)]);
  if (enforced === total) return draft('True', 'Enforced', message);
  return draft('False', facts.published.length === 0 ? 'NotEnforced' : 'PartlyEnforced', message);
}

/** A workload with pods of both sorts counts once, as one that does not enforce the policy. */
function countWorkloads(facts: PolicyFacts): { readonly enforced: number; readonly total: number } {
  const bare = [...facts.withoutAgent, ...facts.notInjectable, ...facts.notEnabled.flatMap(({ workloads }) => workloads)];
  const named = [...facts.refused, ...facts.altered, ...facts.bypassed].map(({ workload }) => workload);
  const missing = new Set([...facts.waiting, ...named, ...bare]);
  const enforced = facts.published.filter((workload) => !missing.has(workload)).length;
  return { enforced, total: enforced + missing.size };
}

function gaps(facts: PolicyFacts): readonly string[] {
  const { waiting, refused, withoutAgent, altered, bypassed, notInjectable, notEnabled } = facts;
  const part = (what: string, names: readonly string[]): string =>
    names.length === 0 ? '' : `${what}: ${names.length} (${listNames(names)})`;
  return [
    part('Without an agent', withoutAgent),
    part('Agent altered', altered.map(describe)),
    part('Agent can be bypassed', bypassed.map(describe)),
    part('Cannot have an agent', notInjectable),
    describeNotEnabled(notEnabled),
    part('Bundle refused', refused.map(describe)),
    part('Not yet published', waiting),
  ];
}

function describe({ workload, message }: { readonly workload: string; readonly message: string }): string {
  return `${workload}: ${message}`;
}

function describeNotEnabled(notEnabled: PolicyFacts['notEnabled']): string {
  if (notEnabled.length === 0) return '';
  const names = listNames(notEnabled.map(({ namespace }) => namespace));
  const workloads = notEnabled.reduce((sum, entry) => sum + entry.workloads.length, 0);
  return `In namespaces without injection: ${workloads} (${notEnabled.length} ${notEnabled.length === 1 ? 'namespace' : 'namespaces'}: ${names})`;
}
