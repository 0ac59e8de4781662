/*
 * Short forms of policies for the tests of this directory.
 */
import type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
  AuthorizationRule,
  JwtRule,
  PolicyMetadata,
  RequestAuthentication,
} from '../../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../../../../src/api/mesh-config.ts';
import { type LowerResult, lowerPolicies } from '../../../../src/policy/lower/lower-policies.ts';

export function authorization(spec: Partial<AuthorizationPolicySpec>, metadata: Partial<PolicyMetadata> = {}): AuthorizationPolicy {
  return { kind: 'AuthorizationPolicy', metadata: { namespace: 'foo', name: 'p', ...metadata }, spec: { action: 'ALLOW', ...spec } };
}

export function authentication(jwtRules: readonly JwtRule[], metadata: Partial<PolicyMetadata> = {}): RequestAuthentication {
  return { kind: 'RequestAuthentication', metadata: { namespace: 'foo', name: 'ra', ...metadata }, spec: { jwtRules } };
}

export function provider(name: string, protocol: 'http' | 'grpc' = 'http'): ExtensionProvider {
  return { name, protocol, service: 'ext.foo', port: 9000, timeoutMs: 600_000, failOpen: false, statusOnError: 403 };
}

/** Lowers policies for a workload in namespace `foo`. */
export function lower(policies: readonly (AuthorizationPolicy | RequestAuthentication)[], mesh: Partial<MeshConfig> = {}): LowerResult {
  return lowerPolicies({
    namespace: 'foo',
    policies,
    mesh: { ...DEFAULT_MESH_CONFIG, ...mesh },
    keySetId: (rule, source) => `${rule.issuer ?? ''}#${source.rule}`,
  });
}

/** The HTTP clauses of one ALLOW rule, `from`, `to` and `when` together; `undefined`: the rule is dropped. */
export function clausesOf(rule: AuthorizationRule, mesh: Partial<MeshConfig> = {}): readonly unknown[] | undefined {
  const [lowered] = lower([authorization({ rules: [rule] })], mesh).program.http.allow.rules;
  return lowered === undefined ? undefined : [...lowered.from.flat(), ...lowered.to.flat(), ...lowered.when];
}
