/*
 * The condition `Programmed` of a policy: how many agents of the selected workloads enforce exactly this version of it, as they say
 * themselves over the feed. It never follows from what the controller wrote.
 */
import type { ObjectKey } from '../api/kube/keys.ts';
import type { PolicyEntry } from '../state/cluster-state.ts';
import type { ReasonOf } from './condition-reasons.ts';
import type { Draft, PolicyFacts } from './conditions.ts';
import { selectsNothing, workloadsWithoutAgent } from './selected-workloads.ts';
import { describeActive, listNames, sentences } from './sentences.ts';

/** The agents of the selected workloads. Pods as `namespace/name`, sorted. */
export interface AgentFacts {
  /** Number of agents that enforce this version. */
  readonly programmed: number;
  /** Agents that hold no stream, so that nothing is known of them. */
  readonly missing: readonly ObjectKey[];
  /** Agents that enforce another version, or do not have this one yet. */
  readonly stale: readonly ObjectKey[];
  /** Agents that refused the bundle with this version. */
  readonly refusing: readonly { readonly pod: ObjectKey; readonly code: string }[];
  /** Agents that were injected without the feed. */
  readonly silent: readonly ObjectKey[];
  /** Pods with two streams that say different things: neither counts. */
  readonly differing: readonly ObjectKey[];
  /** Pods with two streams that say the same; they are in one of the other lists, or programmed. */
  readonly doubled: readonly ObjectKey[];
}

/** The condition; none without a feed. `True`: every agent of every selected workload enforces this version, or it selects none. */
export function programmedOf(entry: PolicyEntry, facts: PolicyFacts): readonly Draft<'Programmed'>[] {
  const { agents } = facts;
  if (agents === undefined || agents === 'settling') return [];
  const draft = (status: 'True' | 'False', reason: ReasonOf<'Programmed'>, message: string): readonly Draft<'Programmed'>[] => [
    { type: 'Programmed', status, reason, message },
  ];
  const { programmed, missing, stale, refusing, silent, differing, doubled } = agents;
  const total = programmed + missing.length + stale.length + refusing.length + silent.length + differing.length;
  const count = `Enforced by ${programmed} of ${total} agents`;
  if (!entry.isValid || entry.active === undefined || entry.refusal !== undefined)
    return draft('False', 'NotAccepted', sentences([describeActive(entry), count]));
  const bare = workloadsWithoutAgent(facts);
  if (total === 0 && bare.length > 0) return draft('False', 'NoAgent', `No selected workload has an agent: ${listNames(bare)}`);
  if (total === 0) return draft('True', 'SelectsNothing', selectsNothing(entry));
  const twice = part('Two streams', doubled);
  if (programmed === total) return draft('True', 'Programmed', twice === '' ? count : sentences([count, twice]));
  const gaps = [
    part(
      'Refused by',
      refusing.map(({ pod, code }) => `${pod} (${code})`),
    ),
    part('Two streams that differ', differing),
    part('Not yet enforced by', stale),
    part('Not connected', missing),
    part('Injected without the feed', silent),
    twice,
  ];
  const worst = differing.length > 0 ? 'TwoStreams' : 'Pending';
  return draft('False', refusing.length > 0 ? 'BundleRefused' : worst, sentences([count, ...gaps]));
}

function part(what: string, names: readonly string[]): string {
  return names.length === 0 ? '' : `${what}: ${listNames(names)}`;
}
