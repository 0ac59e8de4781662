/*
 * The filter chain of a TCP connection: CUSTOM, then AUDIT, DENY and ALLOW in their TCP form. jwt_authn does not apply.
 */
import type { ExtensionProvider } from '../api/mesh-config.ts';
import type { CustomMatch, Decision, Evaluator } from '../policy/decide/decision.ts';
import type { ConnectionFacts, RequestFacts } from '../policy/facts.ts';
import type { Rule } from '../policy/model/program.ts';
import { EXT_AUTHZ_DENIED } from './check-response.ts';
import { deniedDetails } from './details.ts';
import { connectionFacts } from './request-facts.ts';

/** `details`: Envoy's connection termination details. `decision` is absent when CUSTOM denied the connection or a bug did. */
export type ConnectionVerdict =
  | { readonly kind: 'allow'; readonly decision: Decision }
  | { readonly kind: 'deny'; readonly details: string; readonly decision?: Decision }
  | ConnectionCheck;

/** Check the connection with one ext_authz server first. */
export interface ConnectionCheck {
  readonly kind: 'check';
  readonly provider: ExtensionProvider;
  /** The CUSTOM rule that matched. */
  readonly rule: Rule;
  /** Runs the rest of the chain, which may end in the check of another server. Never throws. @param allowed the server's decision */
  resume(allowed: boolean): ConnectionVerdict;
}

/** Runs a step of the chain; denies when the step throws. */
type Guard = (step: () => ConnectionVerdict) => ConnectionVerdict;

/** Evaluates one connection. @param guard runs every step; denies when it throws */
export function evaluateConnection(evaluator: Evaluator, connection: ConnectionFacts, guard: Guard): ConnectionVerdict {
  return guard(() => {
    const facts = connectionFacts(connection);
    return runExtAuthz({ evaluator, facts, matches: evaluator.custom(facts, 'tcp'), guard }, 0);
  });
}

interface ConnectionContext {
  readonly evaluator: Evaluator;
  readonly facts: RequestFacts;
  readonly matches: readonly CustomMatch[];
  readonly guard: Guard;
}

function runExtAuthz(context: ConnectionContext, at: number): ConnectionVerdict {
  const match = context.matches[at];
  if (match === undefined) return runRbac(context);
  const { step, rule } = match;
  if (step.provider === undefined) return { kind: 'deny', details: deniedDetails(rule.id) };
  return {
    kind: 'check',
    provider: step.provider,
    rule,
    resume: (allowed) => (allowed ? context.guard(() => runExtAuthz(context, at + 1)) : { kind: 'deny', details: EXT_AUTHZ_DENIED }),
  };
}

function runRbac({ evaluator, facts }: ConnectionContext): ConnectionVerdict {
  const decision = evaluator.decide(facts, 'tcp');
  return decision.allowed ? { kind: 'allow', decision } : { kind: 'deny', details: deniedDetails(decision.rule?.id), decision };
}
