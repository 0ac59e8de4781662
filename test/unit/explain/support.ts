/*
 * Policies and requests for the tests of explain. Not a test itself.
 */
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import type { Enforced } from '../../../src/explain/evaluate-to-end.ts';
import type { explainRequest } from '../../../src/explain/explain-request.ts';
import type { TestKey } from '../../../src/explain/test-key.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';

/** The time of every request: 2026-01-31T12:00:00Z. */
export const NOW = 1_769_860_800;
export const ISSUER = 'https://issuer.example';

export type Request = Parameters<typeof explainRequest>[1];

interface PolicyParts {
  readonly kind?: 'AuthorizationPolicy' | 'RequestAuthentication';
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A policy named `name` in namespace `foo`. @throws when it is invalid */
export function policy(name: string, spec: object, { kind = 'AuthorizationPolicy', annotations = {} }: PolicyParts = {}): Policy {
  const { value, findings } = parsePolicy({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name, namespace: 'foo', annotations },
    spec,
  });
  if (value === undefined) throw new Error(JSON.stringify(findings));
  return value;
}

/** A RequestAuthentication with one rule for {@link ISSUER}. */
export function jwtPolicy(rule: object = {}): Policy {
  const jwtRules = [{ issuer: ISSUER, jwksUri: `${ISSUER}/keys`, ...rule }];
  return policy('jwt', { jwtRules }, { kind: 'RequestAuthentication' });
}

/** A rule for these paths. */
export function paths(...values: readonly string[]): object {
  return { to: [{ operation: { paths: values } }] };
}

const MESH: MeshConfig = {
  ...DEFAULT_MESH_CONFIG,
  extensionProviders: [
    { name: 'ext', protocol: 'http', service: 'ext.foo', port: 8000, timeoutMs: 1000, failOpen: false, statusOnError: 403 },
  ],
};

/** What is enforced under `policies`. @param key verifies the tokens of every JWT rule; absent: no keys are known */
export function enforce(policies: readonly Policy[], key?: TestKey): Enforced {
  const { program } = lowerPolicies({ namespace: 'foo', policies, mesh: MESH, keySetId: () => 'keys' });
  return { program, keySets: key === undefined ? {} : key.keySetsFor(program) };
}

/** A GET over HTTP/1.1 without TLS. @param headers flat, besides Host */
export function get(target: string, headers: readonly string[] = [], changes: Partial<Request> = {}): Request {
  const connection = { sourceIp: '192.0.2.1', destinationIp: '', destinationPort: 80, sni: '', tls: false };
  return { version: '1.1', method: 'GET', target, headers: ['Host', 'a', ...headers], hasBody: false, connection, ...changes };
}

/** The flat header with a bearer token. */
export function bearer(token: string): readonly string[] {
  return ['Authorization', `Bearer ${token}`];
}
