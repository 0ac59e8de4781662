/*
 * ext_authz providers whose settings contain secrets. Providers are part of bundles, which everyone who may read ConfigMaps in the
 * workload's namespace can read; the secrets belong to the owners of the mesh settings.
 */
import type { MeshConfig } from '../../api/mesh-config.ts';

/** Names of the providers that must not be part of bundles outside the root namespace: those with header values that are not public. */
export function secretProviders({
  extensionProviders,
  publicCheckHeaders,
}: Pick<MeshConfig, 'extensionProviders' | 'publicCheckHeaders'>): readonly string[] {
  const known = new Set(publicCheckHeaders.map((name) => name.toLowerCase()));
  return extensionProviders
    .filter(({ includeAdditionalHeadersInCheck }) =>
      Object.keys(includeAdditionalHeadersInCheck ?? {}).some((name) => !known.has(name.toLowerCase())),
    )
    .map(({ name }) => name);
}
