/*
 * A case's Istio MeshConfig and istiod flags as the product's own settings. In: the raw objects. Out: `MeshConfig`, read by
 * the product's own schema. Settings that the product has no use for are passed over, as they change no decision.
 */
import type { ExtensionProvider, MeshConfig } from '../../src/api/mesh-config.ts';
import { meshSchema } from '../../src/config/mesh.ts';
import type { RecordedCase } from './case-file.ts';

const READ: readonly string[] = ['rootNamespace', 'trustDomain', 'trustDomainAliases', 'pathNormalization'];
const MULTIPLE_PROVIDERS = 'PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS';

/** The settings that `recorded` was made under. @throws ZodError when a setting that is read has a value that is none */
export function meshOfCase({ meshConfig = {}, istioFeatures = {} }: RecordedCase): MeshConfig {
  const read = Object.fromEntries(Object.entries(meshConfig).filter(([name]) => READ.includes(name)));
  const providers = (meshConfig['extensionProviders'] ?? []) as readonly unknown[];
  return {
    ...meshSchema.parse(read),
    extensionProviders: providers.flatMap(usableProvider),
    multipleCustomProviders: istioFeatures[MULTIPLE_PROVIDERS] === true,
  };
}

/** Istio takes a provider with bad settings for one that is not there; here the configuration would be refused as a whole. */
function usableProvider(provider: unknown): readonly ExtensionProvider[] {
  return meshSchema.safeParse({ extensionProviders: [provider] }).data?.extensionProviders ?? [];
}
