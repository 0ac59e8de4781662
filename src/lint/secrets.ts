/*
 * Finds secrets that a policy would publish, or that are left out of bundles because of that: bundles are ConfigMaps of the workloads'
 * namespaces.
 */
import type { Policy, RequestAuthentication } from '../api/istio/resources.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { Finding } from '../errors.ts';
import { providerNameOf } from '../policy/lower/custom.ts';
import { secretProviders } from '../policy/lower/secret-providers.ts';
import { warn } from './shared/lint-finding.ts';

/** The mesh settings that matter here. */
export type SecretSettings = Pick<MeshConfig, 'rootNamespace' | 'extensionProviders' | 'publicCheckHeaders'>;

/** Symmetric keys of JWT rules, and providers with secret header values. @param mesh absent settings: nothing is known about them */
export function findSecrets(policy: Policy, mesh: Partial<SecretSettings>): readonly Finding[] {
  const isMeshWide = policy.metadata.namespace === mesh.rootNamespace;
  if (policy.kind === 'RequestAuthentication') return symmetricKeys(policy, isMeshWide);
  const { extensionProviders = [], publicCheckHeaders = [] } = mesh;
  const name = providerNameOf(policy);
  if (policy.spec.action !== 'CUSTOM' || !secretProviders({ extensionProviders, publicCheckHeaders }).includes(name)) return [];
  return [
    warn({
      code: 'SP_SECRET',
      path: 'spec.provider.name',
      message: `${isMeshWide ? 'outside the root namespace, ' : ''}requests that this policy matches are denied: header values of provider ${JSON.stringify(name)} are not published to other namespaces`,
      hint: 'name the headers in mesh.publicCheckHeaders if their values are not secret',
    }),
  ];
}

function symmetricKeys({ spec }: RequestAuthentication, isMeshWide: boolean): readonly Finding[] {
  return (spec.jwtRules ?? []).flatMap(({ jwks = '' }, index) =>
    hasSymmetricKey(jwks)
      ? [
          warn({
            code: 'SP_SECRET',
            path: `spec.jwtRules[${index}].jwks`,
            message: isMeshWide
              ? 'symmetric keys are published to workloads of this namespace only; in other namespaces tokens signed with them are refused with 401'
              : 'everyone who may read ConfigMaps in this namespace can read this symmetric key and forge tokens with it',
            hint: 'use asymmetric keys',
          }),
        ]
      : [],
  );
}

function hasSymmetricKey(jwks: string): boolean {
  if (!jwks.includes('oct')) return false;
  try {
    const document: unknown = JSON.parse(jwks);
    const keys: unknown = typeof document === 'object' && document !== null && 'keys' in document ? document.keys : undefined;
    return Array.isArray(keys) && keys.some((key: unknown) => typeof key === 'object' && key !== null && 'kty' in key && key.kty === 'oct');
  } catch {
    // Validation reports it.
    return false;
  }
}
