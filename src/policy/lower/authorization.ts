/*
 * Lowers the AuthorizationPolicies of a workload to the ruleset of one protocol: engines by action, rules in byte order of their ids.
 */
import type { Action, AuthorizationPolicy } from '../../api/istio/resources.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Engine, Rule, Ruleset } from '../model/program.ts';
import {
  type CustomPolicy,
  customIdPrefix,
  customSteps,
  describeRefusal,
  findProvider,
  isWithheld,
  type ProviderSettings,
  providerNameOf,
} from './custom.ts';
import { dryRunOf } from './dry-run.ts';
import type { PolicyFinding, RuleContext } from './lowering.ts';
import { compareBytes } from './order.ts';
import { lowerRule } from './rule.ts';

/** One policy, lowered for one protocol. */
export interface LoweredPolicy extends CustomPolicy {
  readonly action: Action;
  /** The engine of workloads that have no other policy of its kind: one object for all of them. */
  readonly engine: Engine;
}

/** One policy, lowered for one protocol, with what could not be lowered. */
export interface KnownPolicy {
  readonly lowered: LoweredPolicy;
  readonly findings: readonly PolicyFinding[];
}

/**
 * Policies that were lowered before, so that one that selects many workloads is lowered once. A caller that passes a cache must never change a
 * policy that was lowered with it: another version is another object.
 */
export interface LoweringCache {
  /** @param settings whatever else the result depends on */
  readonly get: (policy: AuthorizationPolicy, settings: string) => KnownPolicy | undefined;
  readonly set: (policy: AuthorizationPolicy, settings: string, known: KnownPolicy) => void;
}

/** Where findings go, and what is known already. */
export interface LoweringSink {
  /** Findings are appended for HTTP, where all attributes exist. */
  readonly findings: PolicyFinding[];
  /** Absent: every policy is lowered again. */
  readonly cache: LoweringCache | undefined;
}

/** Lowers all policies for one protocol. HTTP attributes are dropped on TCP without a finding. */
export function lowerAuthorization(
  policies: readonly AuthorizationPolicy[],
  protocol: 'http' | 'tcp',
  mesh: MeshConfig & ProviderSettings,
  { findings, cache }: LoweringSink,
): Ruleset {
  const settings = JSON.stringify([protocol, mesh.trustDomain, mesh.trustDomainAliases]);
  const lowered = policies.map((policy) => {
    let known = cache?.get(policy, settings);
    if (known === undefined) {
      known = lowerPolicy(policy, protocol, mesh);
      cache?.set(policy, settings, known);
    }
    findings.push(...known.findings);
    return known.lowered;
  });
  const custom = lowered.filter(({ action }) => action === 'CUSTOM');
  if (protocol === 'http') reportProviders(custom, mesh, findings);
  return {
    custom: customSteps(custom, protocol, mesh),
    audit: engineOf(lowered, 'AUDIT', false),
    deny: engineOf(lowered, 'DENY', false),
    allow: engineOf(lowered, 'ALLOW', false),
    dryRunDeny: engineOf(lowered, 'DENY', true),
    dryRunAllow: engineOf(lowered, 'ALLOW', true),
  };
}

function lowerPolicy(policy: AuthorizationPolicy, protocol: 'http' | 'tcp', mesh: MeshConfig): KnownPolicy {
  const { metadata, spec } = policy;
  const findings: PolicyFinding[] = [];
  const report = reporterOf(policy, protocol, findings);
  const dryRun = dryRunOf(metadata);
  if (dryRun === 'invalid') {
    report('SP_ANNOTATION', 'metadata.annotations', 'the annotation istio.io/dry-run is not a boolean, the policy is enforced');
  }
  const { namespace, name, generation = 0 } = metadata;
  const context: RuleContext = {
    namespace,
    action: spec.action,
    protocol,
    trustDomains: [mesh.trustDomain, ...mesh.trustDomainAliases],
    report,
  };
  const prefix = spec.action === 'CUSTOM' ? customIdPrefix(providerNameOf(policy)) : '';
  const rules: Rule[] = [];
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    const id = `${prefix}ns[${namespace}]-policy[${name}]-rule[${index}]`;
    const lowered = lowerRule(context, rule, id, { kind: 'AuthorizationPolicy', namespace, name, generation, rule: index });
    if (lowered === undefined) {
      report('SP_POLICY', `spec.rules[${index}]`, 'the rule is dropped: a part of it cannot be honoured');
    } else rules.push(lowered);
  }
  const engine: Engine = { attached: true, rules: rules.toSorted(byId) };
  return { lowered: { policy, action: spec.action, dryRun: dryRun === true, rules, engine }, findings };
}

/** Every fault is found on HTTP, where all attributes exist; reporting it on TCP, too, would duplicate it. */
function reporterOf(policy: AuthorizationPolicy, protocol: 'http' | 'tcp', findings: PolicyFinding[]): RuleContext['report'] {
  if (protocol === 'tcp') return () => undefined;
  const { namespace, name } = policy.metadata;
  return (code, path, message) => {
    findings.push({ policy: { kind: 'AuthorizationPolicy', namespace, name }, code, severity: 'error', path, message });
  };
}

/** The engine without a policy, of every program. */
export const NOT_ATTACHED: Engine = { attached: false, rules: [] };

function engineOf(lowered: readonly LoweredPolicy[], action: Action, dryRun: boolean): Engine {
  const own = lowered.filter((policy) => policy.action === action && policy.dryRun === dryRun);
  const [first = { engine: NOT_ATTACHED }, ...others] = own;
  return others.length === 0 ? first.engine : { attached: true, rules: own.flatMap((policy) => policy.rules).sort(byId) };
}

function byId(left: Rule, right: Rule): number {
  return compareBytes(left.id, right.id);
}

function reportProviders(custom: readonly LoweredPolicy[], mesh: ProviderSettings, findings: PolicyFinding[]): void {
  const distinct = new Set(custom.map(({ policy }) => providerNameOf(policy))).size;
  for (const { policy, dryRun } of custom) {
    const report = reporterOf(policy, 'http', findings);
    const name = providerNameOf(policy);
    const provider = findProvider(name, distinct, mesh);
    const code = isWithheld(name, mesh) ? 'SP_SECRET' : 'SP_PROVIDER';
    if (typeof provider === 'string') report(code, 'spec.provider.name', describeRefusal(provider));
    if (dryRun) report('SP_ANNOTATION', 'metadata.annotations', 'dry-run is not supported with CUSTOM; matching requests are denied');
  }
}
