/*
 * A case's Istio MeshConfig and istiod flags as the product's own settings. In: the raw objects. Out: `MeshConfig`. Only
 * what the cases use is read.
 */
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../../src/api/mesh-config.ts';
import type { RecordedCase } from './case-file.ts';

interface IstioAuthorizer {
  readonly service: string;
  readonly port: number;
  readonly includeRequestHeadersInCheck?: readonly string[];
  readonly includeAdditionalHeadersInCheck?: Readonly<Record<string, string>>;
  readonly headersToUpstreamOnAllow?: readonly string[];
  readonly headersToDownstreamOnDeny?: readonly string[];
}

interface IstioProvider {
  readonly name: string;
  readonly envoyExtAuthzHttp?: IstioAuthorizer;
  readonly envoyExtAuthzGrpc?: IstioAuthorizer;
}

interface IstioMesh {
  readonly rootNamespace?: string;
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly pathNormalization?: { readonly normalization?: MeshConfig['pathNormalization'] | 'DEFAULT' };
  readonly extensionProviders?: readonly IstioProvider[];
}

const TEN_MINUTES_MS = 600_000;

/** The settings that `recorded` was made under. */
export function meshOfCase(recorded: RecordedCase): MeshConfig {
  const mesh = (recorded.meshConfig ?? {}) as IstioMesh;
  const normalization = mesh.pathNormalization?.normalization ?? 'DEFAULT';
  return {
    ...DEFAULT_MESH_CONFIG,
    ...(mesh.rootNamespace === undefined ? {} : { rootNamespace: mesh.rootNamespace }),
    ...(mesh.trustDomain === undefined ? {} : { trustDomain: mesh.trustDomain }),
    ...(mesh.trustDomainAliases === undefined ? {} : { trustDomainAliases: mesh.trustDomainAliases }),
    pathNormalization: normalization === 'DEFAULT' ? DEFAULT_MESH_CONFIG.pathNormalization : normalization,
    extensionProviders: (mesh.extensionProviders ?? []).map(providerOf),
    multipleCustomProviders: recorded.istioFeatures?.['PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS'] === true,
  };
}

function providerOf({ name, envoyExtAuthzHttp, envoyExtAuthzGrpc }: IstioProvider): ExtensionProvider {
  const authorizer = envoyExtAuthzHttp ?? envoyExtAuthzGrpc;
  if (authorizer === undefined) {
    throw new Error(`extension provider ${name} is of no known type`);
  }
  return {
    ...authorizer,
    name,
    protocol: envoyExtAuthzHttp === undefined ? 'grpc' : 'http',
    timeoutMs: TEN_MINUTES_MS,
    failOpen: false,
    statusOnError: 403,
  };
}
