/*
 * Mesh-wide settings that change what policies mean. Names and defaults are those of Istio's MeshConfig. Read from the
 * `sallyport` ConfigMap or a file by the config room; handed to resolve, compile and judge.
 * @see istio.io/api mesh/v1alpha1/config.proto
 */

export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/** An external authorizer over HTTP (`envoyExtAuthzHttp`) or gRPC (`envoyExtAuthzGrpc`). */
export interface ExtensionProvider {
  readonly name: string;
  readonly protocol: 'http' | 'grpc';
  /** `[namespace/]host`. */
  readonly service: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly failOpen: boolean;
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

export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly pathNormalization: PathNormalization;
  readonly extensionProviders: readonly ExtensionProvider[];
  /**
   * Addresses and CIDR blocks of proxies in front that terminate mTLS: their X-Forwarded-Client-Cert says who the client is. From
   * every other peer the header is removed. Empty: nobody is trusted.
   */
  readonly trustedProxies: readonly string[];
  /** Istio's `PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`. */
  readonly multipleCustomProviders: boolean;
}

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  pathNormalization: 'BASE',
  extensionProviders: [],
  trustedProxies: [],
  multipleCustomProviders: false,
};
