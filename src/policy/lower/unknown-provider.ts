/*
 * Finds a CUSTOM policy whose ext_authz provider is not configured, without compiling the policy for a workload.
 */
import type { Policy } from '../../api/istio/resources.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Finding } from '../../errors.ts';
import { describeRefusal, findProvider, providerNameOf } from './custom.ts';

/** An error when the policy names a provider that `mesh` does not have: every request that it matches is denied. */
export function findUnknownProvider(policy: Policy, mesh: MeshConfig): Finding | undefined {
  if (policy.kind !== 'AuthorizationPolicy' || policy.spec.action !== 'CUSTOM') return undefined;
  const provider = findProvider(providerNameOf(policy), 1, mesh);
  if (typeof provider !== 'string') return undefined;
  return {
    code: 'SP_PROVIDER',
    severity: 'error',
    path: 'spec.provider.name',
    message: describeRefusal(provider),
    hint: mesh.extensionProviders.length === 0 ? 'configure it in mesh.extensionProviders' : `known: ${knownNames(mesh)}`,
  };
}

function knownNames({ extensionProviders }: MeshConfig): string {
  return extensionProviders
    .slice(0, 5)
    .map(({ name }) => name)
    .join(', ');
}
