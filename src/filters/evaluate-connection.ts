/*
 * The verdict on a TCP connection. In: an evaluator and what is known of the connection. Out: allow, deny, or the
 * external authorizers to ask first. Called through the workload's judge, once per connection.
 */
import type { CustomMatch, Decision, Evaluator } from '../policy/decide/decision.ts';
import type { ConnectionFacts } from '../policy/facts.ts';
import { deniedDetails } from './reply.ts';
import { connectionFacts } from './request-facts.ts';

/** `details`: Envoy's connection termination details. `decision` is absent when CUSTOM ended it or a bug did. */
export type ConnectionVerdict =
  | { readonly kind: 'allow'; readonly decision: Decision }
  | { readonly kind: 'deny'; readonly details: string; readonly decision?: Decision }
  /** Ask these authorizers, then `resume` with whether all of them consent. */
  | { readonly kind: 'check'; readonly matches: readonly CustomMatch[]; resume(allowed: boolean): ConnectionVerdict };

/**
 * Judges one connection: CUSTOM, then AUDIT, DENY and ALLOW in their TCP form. JWT does not exist here.
 * @param guarded runs a step and denies when it throws
 */
export function evaluateConnection(
  evaluator: Evaluator,
  connection: ConnectionFacts,
  guarded: (step: () => ConnectionVerdict) => ConnectionVerdict,
): ConnectionVerdict {
  return guarded(() => begin(evaluator, connection, guarded));
}

function begin(
  evaluator: Evaluator,
  connection: ConnectionFacts,
  guarded: (step: () => ConnectionVerdict) => ConnectionVerdict,
): ConnectionVerdict {
  const facts = connectionFacts(connection);
  const matches = evaluator.custom(facts, 'tcp');
  const refusal = matches.findIndex(({ step }) => step.provider === undefined);
  const asked = refusal === -1 ? matches : matches.slice(0, refusal);
  const refused = refusal === -1 ? undefined : matches[refusal];
  const proceed = (): ConnectionVerdict => {
    if (refused !== undefined) {
      return { kind: 'deny', details: deniedDetails(refused.rule.id) };
    }
    const decision = evaluator.decide(facts, 'tcp');
    return decision.allowed ? { kind: 'allow', decision } : { kind: 'deny', details: deniedDetails(decision.rule?.id), decision };
  };
  if (asked.length === 0) {
    return proceed();
  }
  return {
    kind: 'check',
    matches: asked,
    resume: (allowed) => (allowed ? guarded(proceed) : { kind: 'deny', details: 'ext_authz_denied' }),
  };
}
