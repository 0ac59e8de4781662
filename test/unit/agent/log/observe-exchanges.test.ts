/* What an exchange counts as. */
import { expect } from 'chai';
import type { ExchangeRecord } from '../../../../src/agent/exchange/exchange-record.ts';
import { observeExchanges } from '../../../../src/agent/log/observe-exchanges.ts';
import { systemClock } from '../../../../src/clock.ts';
import type { AgentMetrics } from '../../../../src/telemetry/agent-metrics.ts';
import { logOf } from '../loopback.ts';

/** Names and arguments of the calls that one exchange makes. */
function callsOf(verdict: object, more: object = {}): readonly (readonly unknown[])[] {
  const calls: (readonly unknown[])[] = [];
  const metrics = new Proxy({} as AgentMetrics, {
    get:
      (_, name) =>
      (...values: readonly unknown[]) =>
        void calls.push([name, ...values]),
  });
  const record = { status: 200, details: '', startMs: 0, evaluatedMs: 0, verdict: { ...logOf('allow'), ...verdict }, ...more };
  observeExchanges(metrics, undefined, systemClock).onExchange(record as unknown as ExchangeRecord);
  return calls;
}

describe('observeExchanges', () => {
  const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'ap', generation: 2, rule: 1 } as const;
  const rule = { id: 'x', source, from: [], to: [], when: [] };

  it('counts what dry-run policies would do, by the rule that matched', () => {
    const counted = (decision: object): readonly (readonly unknown[])[] =>
      callsOf({ decision: { allowed: true, reason: 'no-policies', ...decision } }).filter(([name]) => name === 'onDryRun');

    expect(counted({})).to.deep.equal([]);
    expect(counted({ dryRunAllow: { allowed: true, rule }, dryRunDeny: { allowed: false, rule } })).to.deep.equal([
      ['onDryRun', source, 'would_allow'],
      ['onDryRun', source, 'would_deny'],
    ]);
    expect(counted({ dryRunAllow: { allowed: false }, dryRunDeny: { allowed: true } })).to.deep.equal([
      ['onDryRun', undefined, 'would_deny'],
      ['onDryRun', undefined, 'would_allow'],
    ]);
  });

  it('counts an exchange that was revoked once, as its second verdict', () => {
    const calls = callsOf({ outcome: 'deny', decision: { allowed: false, reason: 'deny-rule', rule } }, { revoked: 'denied' });

    expect(calls.filter(([name]) => ['onDecision', 'onPolicyDecision', 'onRevoked'].includes(String(name)))).to.deep.equal([
      ['onDecision', 'deny', 'deny-rule'],
      ['onPolicyDecision', source, 'deny'],
      ['onRevoked', 'denied'],
    ]);
    expect(
      callsOf({ outcome: 'none', details: 'no_policy_for_labels' }, { details: 'no_policy_for_labels', revoked: 'no-policy' }),
    ).to.deep.include(['onDecision', 'closed', 'no-policy-for-labels']);
  });

  it('counts the policy that decided', () => {
    const counted = (verdict: object): unknown => callsOf(verdict).find(([name]) => name === 'onPolicyDecision');

    expect(counted({ decision: { allowed: true, reason: 'allow-rule', rule } })).to.deep.equal(['onPolicyDecision', source, 'allow']);
    expect(counted({ decision: { allowed: false, reason: 'deny-rule', rule } })).to.deep.equal(['onPolicyDecision', source, 'deny']);
    expect(counted({ outcome: 'unauthenticated', jwtRule: source })).to.deep.equal(['onPolicyDecision', source, 'unauthenticated']);
    expect(counted({ outcome: 'none' })).to.equal(undefined);
  });
});
