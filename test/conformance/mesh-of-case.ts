/*
 * Converts the Istio MeshConfig and istiod flags of a case to Sallyport's settings, with Sallyport's own schema. Settings that
 * Sallyport does not use are ignored, because they change no decision.
 */
import type { ExtensionProvider, MeshConfig } from '../../src/api/mesh-config.ts';
import { meshSchema } from '../../src/config/mesh.ts';
import type { RecordedCase } from './case-file.ts';

const READ: readonly string[] = ['rootNamespace', 'trustDomain', 'trustDomainAliases', 'pathNormalization'];
const MULTIPLE_PROVIDERS = 'PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS';

/** Settings of `recorded`. @throws ZodError if a setting that is read has an invalid value */
export function meshOfCase({ meshConfig = {}, istioFeatures = {}, secretCheckHeaders = false }: RecordedCase): MeshConfig {
  const read = Object.fromEntries(Object.entries(meshConfig).filter(([name]) => READ.includes(name)));
  const providers = (meshConfig['extensionProviders'] ?? []) as readonly unknown[];
  const extensionProviders = providers.flatMap(usableProvider);
  return {
    ...meshSchema.parse(read),
    extensionProviders,
    publicCheckHeaders: secretCheckHeaders
      ? []
      : extensionProviders.flatMap((one) => Object.keys(one.includeAdditionalHeadersInCheck ?? {})),
    multipleCustomProviders: istioFeatures[MULTIPLE_PROVIDERS] === true,
  };
}

/** Istio ignores a provider with invalid settings; Sallyport would reject the whole configuration. */
function usableProvider(provider: unknown): readonly ExtensionProvider[] {
  return meshSchema.safeParse({ extensionProviders: [provider] }).data?.extensionProviders ?? [];
}
