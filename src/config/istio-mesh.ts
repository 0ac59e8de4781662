/*
 * Reads the `mesh` part of a configuration that was copied from Istio's MeshConfig: drops what has no meaning here, and renames what
 * Istio renamed. The chart's schema accepts the same.
 * @see istio.io/api mesh/v1alpha1/config.proto
 */

/** Members of MeshConfig that configure something that this product does not have. */
const ISTIO_KEYS: ReadonlySet<string> = new Set(
  (
    'accessLogEncoding accessLogFile accessLogFormat ca caCertificates certificates configSources connectTimeout defaultConfig ' +
    'defaultDestinationRuleExportTo defaultHttpRetryPolicy defaultProviders defaultServiceExportTo defaultVirtualServiceExportTo ' +
    'disableEnvoyListenerLog discoverySelectors dnsRefreshRate enableAutoMtls enableEnvoyAccessLogService enablePrometheusMerge ' +
    'enableTracing h2UpgradePolicy hboneIdleTimeout inboundClusterStatName inboundTrafficPolicy ingressClass ingressControllerMode ' +
    'ingressSelector ingressService localityLbSetting meshMTLS outboundClusterStatName outboundTrafficPolicy protocolDetectionTimeout ' +
    'proxyHttpPort proxyInboundListenPort proxyListenPort rootNamespaceLabel serviceScopeConfigs serviceSettings tcpKeepalive tlsDefaults ' +
    'thriftConfig verifyCertificateAtClient'
  ).split(' '),
);
/** Providers of tracing, access logs and metrics, which no CUSTOM policy can name. */
const OTHER_PROVIDERS: ReadonlySet<string> = new Set(
  'datadog envoyFileAccessLog envoyHttpAls envoyOtelAls envoyTcpAls lightstep opencensus opentelemetry prometheus sds skywalking stackdriver zipkin'.split(
    ' ',
  ),
);
/** The name in Istio before 1.10, which Istio still accepts. */
const OLD_HEADERS = 'includeHeadersInCheck';
const NEW_HEADERS = 'includeRequestHeadersInCheck';

/** Whether `key` is a member of MeshConfig that has no meaning here. */
export function isIstioMeshKey(key: string): boolean {
  return ISTIO_KEYS.has(key);
}

/** A mesh section with names that the schema knows, and what was changed or has to be removed. */
export interface AdaptedMesh {
  readonly mesh: unknown;
  /** What is ignored or renamed, one sentence each. */
  readonly notes: readonly string[];
  /** Members of MeshConfig that have no meaning here. */
  readonly faults: readonly string[];
}

/** Adapts the value of `mesh`; anything but a mapping is returned as it is. */
export function adaptIstioMesh(mesh: unknown): AdaptedMesh {
  if (!isRecord(mesh)) return { mesh, notes: [], faults: [] };
  const [notes, faults]: [string[], string[]] = [[], []];
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(mesh)) {
    if (ISTIO_KEYS.has(key)) faults.push(`mesh.${key}: this setting of Istio's MeshConfig has no meaning here; remove it`);
    else if (key === 'extensionProviders' && Array.isArray(value))
      kept[key] = value.flatMap((provider: unknown) => adaptProvider(provider, notes));
    else kept[key] = value;
  }
  return { mesh: kept, notes, faults };
}

function adaptProvider(provider: unknown, notes: string[]): readonly unknown[] {
  if (!isRecord(provider)) return [provider];
  const kind = Object.keys(provider).find((key) => OTHER_PROVIDERS.has(key));
  const isAuthorizer = 'envoyExtAuthzHttp' in provider || 'envoyExtAuthzGrpc' in provider;
  if (kind !== undefined && !isAuthorizer) {
    notes.push(
      `provider ${JSON.stringify(provider['name'] ?? '')} is ignored: ${kind} is not an external authorizer, so no CUSTOM policy can name it`,
    );
    return [];
  }
  const http = provider['envoyExtAuthzHttp'];
  if (!isRecord(http) || !(OLD_HEADERS in http) || NEW_HEADERS in http) return [provider];
  const { [OLD_HEADERS]: headers, ...rest } = http;
  notes.push(`provider ${JSON.stringify(provider['name'] ?? '')}: ${OLD_HEADERS} is the old name of ${NEW_HEADERS}`);
  return [{ ...provider, envoyExtAuthzHttp: { ...rest, [NEW_HEADERS]: headers } }];
}

interface MeshJsonSchema {
  readonly properties: {
    readonly extensionProviders: { readonly items: ProviderJsonSchema };
    readonly [name: string]: object;
  };
}

interface ProviderJsonSchema {
  readonly properties: { readonly envoyExtAuthzHttp: { readonly properties: Readonly<Record<string, object>> } };
  readonly oneOf: readonly object[];
}

/**
 * The JSON schema of a mesh section as it may come from Istio: `schema`, and what {@link adaptIstioMesh} takes out. Settings without
 * meaning here pass, because only the chart's templates can say so; a schema can only call them unknown.
 */
export function withIstioMesh(schema: object): object {
  const { properties, ...rest } = schema as MeshJsonSchema;
  const { items } = properties.extensionProviders;
  const http = items.properties.envoyExtAuthzHttp;
  const provider = {
    ...items,
    properties: {
      ...items.properties,
      envoyExtAuthzHttp: {
        ...http,
        properties: {
          ...http.properties,
          [OLD_HEADERS]: { ...http.properties[NEW_HEADERS], description: `The old name of \`${NEW_HEADERS}\`` },
        },
        not: { required: [OLD_HEADERS, NEW_HEADERS] },
      },
    },
    patternProperties: { [anyOf(OTHER_PROVIDERS)]: {} },
    oneOf: [...items.oneOf, { anyOf: [...OTHER_PROVIDERS].map((kind) => ({ required: [kind] })) }],
  };
  return {
    ...rest,
    properties: { ...properties, extensionProviders: { ...properties.extensionProviders, items: provider } },
    patternProperties: { [anyOf(ISTIO_KEYS)]: {} },
  };
}

function anyOf(names: ReadonlySet<string>): string {
  return `^(?:${[...names].join('|')})$`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
