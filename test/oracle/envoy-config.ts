/*
 * Adapts the inbound listener that istiod compiled to a stock Envoy: bound to the workload's addresses, without Istio's telemetry
 * filters, with loopback clusters, static certificates and an access log of decisions. Also creates the bootstrap
 * configuration. Nothing that decides is changed.
 */
import type { RecordedWorkload } from '../conformance/case-file.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** Istio's default runtime flags. */
const RUNTIME: JsonObject = {
  'overload.global_downstream_max_connections': '2147483647',
  're2.max_program_size.error_level': '32768',
  'envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst': true,
  'envoy.reloadable_features.http_reject_path_with_fragment': false,
};

/** Filters that only Istio's build of Envoy has; they observe and never decide. */
const ISTIO_ONLY = /^(istio\.|envoy\.filters\.(network|http)\.(metadata_exchange|peer_metadata))/;

export interface EnvoySurroundings {
  readonly adminPort: number;
  readonly httpPort: number;
  readonly tcpPort: number;
  readonly authorizerPorts: { readonly http: number; readonly grpc: number };
  /** PEM files. */
  readonly certPath: string;
  readonly keyPath: string;
  readonly caPath: string;
  readonly accessLog: string;
}

const isObject = (value: Json | undefined): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
const typed = (type: string, value: JsonObject): JsonObject => ({ '@type': `type.googleapis.com/${type}`, ...value });

/** The listener of one workload. @param name unique in one Envoy */
export function listenerOf(compiled: JsonObject, name: string, workload: RecordedWorkload, around: EnvoySurroundings): JsonObject {
  const { useOriginalDst: _, listenerFilters, additionalAddresses: __, ...rest } = adapt(compiled, around) as Record<string, Json>;
  const [first, ...others] = workload.ports.map(({ number }) => ({ socketAddress: { address: workload.ip, portValue: number } }));
  return {
    ...rest,
    name,
    statPrefix: name,
    address: first ?? {},
    additionalAddresses: others.map((address) => ({ address })),
    listenerFilters: (listenerFilters as readonly JsonObject[]).filter(
      (filter) => filter['name'] !== 'envoy.filters.listener.original_dst',
    ),
    accessLog: [accessLog(around.accessLog, 'connection')],
    bindToPort: true,
  };
}

/** Walks the whole listener: what has to change depends on the structure of a node and not on its position. */
function adapt(node: Json, around: EnvoySurroundings): Json {
  if (Array.isArray(node)) return node.filter((item) => !isIstioOnly(item)).map((item: Json) => adapt(item, around));
  if (!isObject(node)) return node;
  const walked: Record<string, Json> = {};
  for (const [name, value] of Object.entries(node)) walked[name] = adapt(value, around);
  const url = node['@type'];
  const type = typeof url === 'string' ? url.split('/')[1] : undefined;
  switch (type) {
    case 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager':
      return { ...walked, accessLog: [accessLog(around.accessLog, 'request')] };
    case 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': {
      const { weightedClusters: _, ...proxy } = walked;
      return { ...proxy, cluster: 'tcp', accessLog: [] };
    }
    case 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext':
      return { ...walked, commonTlsContext: tlsContext(walked['commonTlsContext'] as JsonObject, around) };
    default:
      return renamed(walked);
  }
}

function isIstioOnly(node: Json): boolean {
  return isObject(node) && typeof node['name'] === 'string' && ISTIO_ONLY.test(node['name']) && node['typedConfig'] !== undefined;
}

/** The clusters that exist here, by name. */
function renamed(node: Record<string, Json>): JsonObject {
  if (isObject(node['envoyGrpc'])) return { ...node, envoyGrpc: { ...node['envoyGrpc'], clusterName: 'authorizer-grpc' } };
  if (isObject(node['serverUri'])) return { ...node, serverUri: { ...node['serverUri'], cluster: 'authorizer-http' } };
  if (isObject(node['route']) && node['match'] !== undefined) return { ...node, route: { ...node['route'], cluster: 'http' } };
  return node;
}

/** Loads certificates from files instead of istio-agent's secret service; the required identities are unchanged. */
function tlsContext(common: JsonObject, { certPath, keyPath, caPath }: EnvoySurroundings): JsonObject {
  const { tlsCertificateSdsSecretConfigs: _, combinedValidationContext, ...rest } = common;
  const demanded = isObject(combinedValidationContext) ? combinedValidationContext['defaultValidationContext'] : undefined;
  return {
    ...rest,
    tlsCertificates: [{ certificateChain: { filename: certPath }, privateKey: { filename: keyPath } }],
    ...(combinedValidationContext === undefined
      ? {}
      : { validationContext: { ...(isObject(demanded) ? demanded : {}), trustedCa: { filename: caPath } } }),
  };
}

function accessLog(path: string, kind: 'connection' | 'request'): JsonObject {
  const metadata = (filter: string): string => `%DYNAMIC_METADATA(envoy.filters.${filter}.rbac)%`;
  return {
    name: 'envoy.access_loggers.file',
    typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
      path,
      logFormat: {
        jsonFormat: {
          kind,
          connection: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS%',
          start: '%START_TIME(%s%3f)%',
          details: '%RESPONSE_CODE_DETAILS%',
          closed: '%CONNECTION_TERMINATION_DETAILS%',
          flags: '%RESPONSE_FLAGS%',
          metadata: metadata(kind === 'request' ? 'http' : 'network'),
        },
      },
    }),
  };
}

/** The bootstrap configuration that loads listeners from the file `listenersPath`. */
export function bootstrap(listenersPath: string, around: EnvoySurroundings): JsonObject {
  return {
    node: { id: 'oracle', cluster: 'oracle' },
    layeredRuntime: { layers: [{ name: 'istio', staticLayer: RUNTIME }] },
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: around.adminPort } } },
    dynamicResources: { ldsConfig: { pathConfigSource: { path: listenersPath }, resourceApiVersion: 'V3' } },
    staticResources: {
      clusters: [
        cluster('http', around.httpPort, false),
        cluster('tcp', around.tcpPort, false),
        cluster('authorizer-http', around.authorizerPorts.http, false),
        cluster('authorizer-grpc', around.authorizerPorts.grpc, true),
      ],
    },
  };
}

function cluster(name: string, port: number, http2: boolean): JsonObject {
  const options = { explicitHttpConfig: { http2ProtocolOptions: {} } };
  return {
    name,
    type: 'STATIC',
    connectTimeout: '5s',
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } } }] }],
    },
    ...(http2
      ? {
          typedExtensionProtocolOptions: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              options,
            ),
          },
        }
      : {}),
  };
}

/** A file for the file-based discovery of listeners. */
export function discoveryResponse(listeners: readonly JsonObject[]): JsonObject {
  return { versionInfo: '1', resources: listeners.map((listener) => typed('envoy.config.listener.v3.Listener', listener)) };
}
