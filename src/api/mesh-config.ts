/*
 * Mesh-wide settings that affect the meaning of policies. Names and defaults are those of Istio's MeshConfig. src/config reads
 * them from the `sallyport` ConfigMap or a file.
 * @see istio.io/api mesh/v1alpha1/config.proto
 */

/** How paths are normalized before matching. */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/** An ext_authz provider over HTTP (`envoyExtAuthzHttp`) or gRPC (`envoyExtAuthzGrpc`). */
export interface ExtensionProvider {
  readonly name: string;
  readonly protocol: 'http' | 'grpc';
  /** `[namespace/]host`. */
  readonly service: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Whether requests are allowed if the provider fails. */
  readonly failOpen: boolean;
  /** HTTP status of the response if the provider fails and {@link ExtensionProvider.failOpen} is false. */
  readonly statusOnError: number;
  readonly pathPrefix?: string;
  readonly includeRequestHeadersInCheck?: readonly string[];
  readonly includeAdditionalHeadersInCheck?: Readonly<Record<string, string>>;
  readonly includeRequestBodyInCheck?: {
    readonly maxRequestBytes: number;
    readonly allowPartialMessage: boolean;
    readonly packAsBytes: boolean;
  };
  readonly headersToUpstreamOnAllow?: readonly string[];
  readonly headersToDownstreamOnAllow?: readonly string[];
  readonly headersToDownstreamOnDeny?: readonly string[];
}

/** The mesh-wide settings. */
export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly pathNormalization: PathNormalization;
  readonly extensionProviders: readonly ExtensionProvider[];
  /**
   * Addresses and CIDR blocks of proxies that terminate mTLS in front of agents: their X-Forwarded-Client-Cert header identifies
   * the client. The header is removed from requests of every other peer. Empty: no proxy is trusted.
   */
  readonly trustedProxies: readonly string[];
  /** How agents identify peers without a certificate. */
  readonly peerIdentity: {
    /** By the address of the pod, over the feed; a peer without an identity is then unknown, which no policy takes for harmless. */
    readonly podIP: boolean;
  };
  /** Headers of `includeAdditionalHeadersInCheck` whose values are not secret; a provider with another one is called in the root namespace only. */
  readonly publicCheckHeaders: readonly string[];
  /** Istio's `PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`. */
  readonly multipleCustomProviders: boolean;
}

/** Istio's defaults. */
export const DEFAULT_MESH_CONFIG: MeshConfig = {
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  pathNormalization: 'BASE',
  extensionProviders: [],
  trustedProxies: [],
  peerIdentity: { podIP: false },
  publicCheckHeaders: [],
  multipleCustomProviders: false,
};

/** The trust domain of the mesh and its aliases, each once. */
export function trustDomainsOf({ trustDomain, trustDomainAliases }: MeshConfig): readonly string[] {
  return [...new Set([trustDomain, ...trustDomainAliases])];
}
