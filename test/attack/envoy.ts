/*
 * Envoy as Istio's inbound listener, with the policies of the attack set: one listener and one application for each lane.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envoyFilters } from './policies.ts';

const typed = (name: string, value: object): object => ({ '@type': `type.googleapis.com/envoy.extensions.filters.${name}`, ...value });
const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** As Istio sets it for a port that speaks HTTP/2. */
const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

/** Ports of one proxy and the application behind it. */
export interface PortPair {
  readonly listenPort: number;
  readonly upstreamPort: number;
  /** The application speaks HTTP/2. */
  readonly isHttp2: boolean;
}

/** Writes the configuration into `directory`. @returns the arguments of Envoy, for one worker */
export function writeEnvoyConfig(directory: string, adminPort: number, pairs: readonly PortPair[]): readonly string[] {
  const file = join(directory, 'envoy.json');
  const layer = { 'envoy.reloadable_features.http_reject_path_with_fragment': false };
  writeFileSync(
    file,
    JSON.stringify({
      layered_runtime: { layers: [{ name: 'istio', static_layer: layer }] },
      admin: { address: address(adminPort) },
      static_resources: { listeners: pairs.map(listener), clusters: pairs.map(cluster) },
    }),
  );
  return ['-c', file, '--concurrency', '1', '--log-level', 'error', '--disable-hot-restart'];
}

function listener({ listenPort }: PortPair, at: number): object {
  const max_stream_duration = { max_stream_duration: '0s', grpc_timeout_header_max: '0s' };
  const route = {
    cluster: `app-${at}`,
    timeout: '0s',
    max_stream_duration,
    retry_policy: { retry_on: 'reset-before-request', num_retries: 2 },
  };
  const manager = typed('network.http_connection_manager.v3.HttpConnectionManager', {
    // As Istio sets it: Envoy then removes the header that names the span of an inbound request.
    tracing: {},
    stat_prefix: 'in',
    server_name: 'istio-envoy',
    normalize_path: true,
    use_remote_address: false,
    proxy_100_continue: true,
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, uri: true, dns: true },
    route_config: { name: 'in', virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }] },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    // WebSockets over HTTP/2 (RFC 8441).
    http2_protocol_options: { allow_connect: true },
    stream_idle_timeout: '0s',
    // Long enough that no slow machine sees Envoy close a connection that it has half given up.
    delayed_close_timeout: '30s',
    http_filters: [...envoyFilters(), { name: 'envoy.filters.http.router', typed_config: typed('http.router.v3.Router', {}) }],
  });
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  return { name: `in-${at}`, address: address(listenPort), filter_chains: [{ filters }] };
}

function cluster({ upstreamPort, isHttp2 }: PortPair, at: number): object {
  const thresholds = [{ max_connections: 1_000_000, max_pending_requests: 1_000_000, max_requests: 1_000_000, max_retries: 1_000_000 }];
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }];
  return {
    name: `app-${at}`,
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: { thresholds },
    ...(isHttp2 && { typed_extension_protocol_options: HTTP2 }),
    load_assignment: { cluster_name: `app-${at}`, endpoints },
  };
}
