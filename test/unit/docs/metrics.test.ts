/*
 * The promise of docs/reference/metrics.md: how many series an agent has at most. Every closed set of labels is used up, and policies, bundles
 * and everything that comes from outside are flooded.
 */
import { expect } from 'chai';
import { MOST_AGENT_SERIES } from '../../../scripts/reference/metrics-page.ts';
import type { RevocationReason } from '../../../src/agent/context.ts';
import type { CloseReason } from '../../../src/agent/http1/server-host.ts';
import type { HandshakeFailure } from '../../../src/agent/tls/tls-observer.ts';
import { ERROR_CODES, type ErrorCode } from '../../../src/errors.ts';
import {
  createAgentMetrics,
  type DecisionAction,
  type DecisionCause,
  type DryRunAction,
  type PolicyAction,
  type TcpAction,
} from '../../../src/telemetry/agent-metrics.ts';

/** All members of a union; the compiler refuses a missing one. */
const allOf = <T extends string>(members: Readonly<Record<T, 0>>): readonly T[] => Object.keys(members) as T[];

const ACTIONS = allOf<DecisionAction>({ allow: 0, deny: 0, unauthenticated: 0, reject: 0, closed: 0, none: 0 });
const TCP_ACTIONS = allOf<TcpAction>({ allow: 0, deny: 0, closed: 0, none: 0 });
const CAUSES = allOf<DecisionCause>({
  'allow-rule': 0,
  'deny-rule': 0,
  'no-allow-rule-matched': 0,
  'no-allow-policy': 0,
  jwt: 0,
  'ext-authz': 0,
  request: 0,
  codec: 0,
  'no-bundle': 0,
  'no-policy-for-labels': 0,
  'no-destination': 0,
  'client-left': 0,
  error: 0,
});
const POLICY_ACTIONS = allOf<PolicyAction>({ allow: 0, deny: 0, unauthenticated: 0 });
const DRY_RUN_ACTIONS = allOf<DryRunAction>({ would_allow: 0, would_deny: 0 });
const HANDSHAKES = allOf<HandshakeFailure>({
  plaintext: 0,
  hello_too_large: 0,
  too_many: 0,
  no_own_certificate: 0,
  version: 0,
  cipher: 0,
  no_certificate: 0,
  untrusted: 0,
  expired: 0,
  not_yet_valid: 0,
  purpose: 0,
  identity: 0,
  server_name: 0,
  alert: 0,
  malformed: 0,
  too_large: 0,
  timeout: 0,
  client_left: 0,
});
const REASONS = allOf<CloseReason>({
  client: 0,
  response: 0,
  refused: 0,
  idle: 0,
  timeout: 0,
  unread: 0,
  discarded: 0,
  overload: 0,
  upstream: 0,
  tunnel: 0,
  handshake: 0,
  revoked: 0,
  shutdown: 0,
});

const REVOCATIONS = allOf<RevocationReason>({
  'token-expired': 0,
  'token-refused': 0,
  denied: 0,
  'ext-authz': 0,
  'no-policy': 0,
  'not-kept': 0,
});

describe('docs/reference/metrics.md', () => {
  it('promises a number of series that no flood exceeds', () => {
    const metrics = createAgentMetrics(() => 0, true);
    const bundleCodes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => ERROR_CODES[code].family === 'bundle');
    for (const action of ACTIONS) for (const cause of CAUSES) metrics.onDecision(action, cause);
    for (const action of TCP_ACTIONS) for (const cause of CAUSES) metrics.onTcpConnection(action, cause);
    for (const failure of HANDSHAKES) metrics.onTlsHandshake(failure, '');
    for (const version of ['1.2', '1.3']) metrics.onTlsHandshake('ok', version);
    metrics.onTlsCertificate(1);
    for (const reason of REASONS) {
      metrics.onConnectionOpened();
      metrics.onConnectionClosed(reason);
    }
    for (const reason of REVOCATIONS) metrics.onRevoked(reason);
    for (const code of bundleCodes) metrics.onBundleRefused(code);
    for (let at = 0; at < 5000; at++) {
      if (at % 500 === 0) metrics.onBundle(`sha256:${at}`, at);
      metrics.onDecisionSeconds(at);
      metrics.onExchangeSeconds(at);
      metrics.onResponse(at % 6);
      const rule = { namespace: `ns-${at % 70}`, name: `policy-${at}` };
      for (const action of POLICY_ACTIONS) for (const by of [rule, undefined]) metrics.onPolicyDecision(by, action);
      for (const action of DRY_RUN_ACTIONS) for (const by of [rule, undefined]) metrics.onDryRun(by, action);
    }
    const series = metrics
      .text()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));

    expect(series.filter((line) => line.startsWith('sallyport_agent_policy_decisions_total'))).to.have.length(
      200 + 2 * POLICY_ACTIONS.length,
    );
    expect(series.filter((line) => line.startsWith('sallyport_agent_dry_run_decisions_total'))).to.have.length(
      200 + 2 * DRY_RUN_ACTIONS.length,
    );
    expect(series.length).to.be.within(MOST_AGENT_SERIES - 60, MOST_AGENT_SERIES);
    expect(new Set(series.map((line) => line.slice(0, line.lastIndexOf(' ')))).size).to.equal(series.length);
  });
});
