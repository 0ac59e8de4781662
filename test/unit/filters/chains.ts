/*
 * Filter chains, programs and requests for tests, made from policies as YAML-like objects. Not a test itself.
 */

import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../../../src/api/mesh-config.ts';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { createFilterChain, type FilterChain, type FilterChainOptions } from '../../../src/filters/filter-chain.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import type { RawRequest } from '../../../src/http/heads.ts';
import type { ConnectionFacts } from '../../../src/policy/facts.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../../src/policy/model/program.ts';
import { NOW } from '../jwt/tokens.ts';

/** A plain connection from a peer without identity. */
export const CONNECTION: ConnectionFacts = { sourceIp: '10.0.0.9', destinationIp: '10.1.0.1', destinationPort: 8080, sni: '', tls: false };

/** A policy named `name` in namespace `foo`. */
export function policy(kind: 'RequestAuthentication' | 'AuthorizationPolicy', name: string, spec: object): object {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { namespace: 'foo', name }, spec };
}

/** An ALLOW policy. */
export function allow(name: string, ...rules: readonly object[]): object {
  return policy('AuthorizationPolicy', name, { rules });
}

/** A DENY policy. */
export function deny(name: string, ...rules: readonly object[]): object {
  return policy('AuthorizationPolicy', name, { action: 'DENY', rules });
}

/** A CUSTOM policy of `provider`. */
export function custom(name: string, provider: string, ...rules: readonly object[]): object {
  return policy('AuthorizationPolicy', name, { action: 'CUSTOM', provider: { name: provider }, rules });
}

/** A rule on these paths. */
export const paths = (...values: readonly string[]): object => ({ to: [{ operation: { paths: values } }] });

/** An ext_authz provider. */
export function authorizer(name: string, protocol: 'http' | 'grpc' = 'grpc'): ExtensionProvider {
  return { name, protocol, service: 'authz.foo', port: 9000, timeoutMs: 1000, failOpen: false, statusOnError: 403 };
}

/** The program of `policies`, all in namespace `foo`. */
export function programOf(policies: readonly object[], mesh: Partial<MeshConfig> = {}): Program {
  const parsed = policies.map((object) => {
    const { value, findings } = parsePolicy(object);
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  return lowerPolicies({ namespace: 'foo', policies: parsed, mesh: { ...DEFAULT_MESH_CONFIG, ...mesh }, keySetId: () => 'keys' }).program;
}

/** A filter chain; an exception inside fails the test. */
export function filterChainOf(
  policies: readonly object[],
  { mesh = {}, keys, ...options }: FilterChainOptions & { readonly mesh?: Partial<MeshConfig>; readonly keys?: KeySet } = {},
): FilterChain {
  const onBug = (error: unknown): void => {
    throw error;
  };
  return createFilterChain(programOf(policies, mesh), keys === undefined ? {} : { keys }, { onBug, ...options });
}

/** A chain for HTTP requests alone; it denies every connection. */
export function httpChain(evaluate: FilterChain['evaluate']): FilterChain {
  return {
    evaluate,
    identify: (connection) => connection,
    evaluateConnection: () => ({ kind: 'deny', details: 'no TCP in this test' }),
    release: () => {},
  };
}

/** A GET request over HTTP/1.1 with a Host. */
export function raw(target: string, headers: readonly string[] = [], changes: Partial<RawRequest> = {}): RawRequest {
  return {
    version: '1.1',
    method: 'GET',
    target,
    headers: ['Host', 'app.foo:8000', ...headers],
    hasBody: false,
    connection: CONNECTION,
    ...changes,
  };
}

/** The verdict on `request`, which must be of this kind. */
export function verdictOf<K extends Verdict['kind']>(
  kind: K,
  filterChain: FilterChain,
  request: RawRequest,
): Extract<Verdict, { readonly kind: K }> {
  return expectKind(kind, filterChain.evaluate(request, NOW));
}

/** `verdict`, which must be of this kind. */
export function expectKind<K extends Verdict['kind']>(kind: K, verdict: Verdict): Extract<Verdict, { readonly kind: K }> {
  if (verdict.kind !== kind) throw new Error(`a ${verdict.kind} verdict: ${JSON.stringify(verdict)}`);
  return verdict as Extract<Verdict, { readonly kind: K }>;
}
