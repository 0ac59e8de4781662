/*
 * The agent's configuration, from environment variables (which injection writes) and flags, which win. Uses zod/mini and
 * carries no descriptions, to keep the agent small.
 */
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import * as z from 'zod/mini';
import {
  AGENT_ADMIN_PORT,
  AGENT_ENV,
  APP_PROTOCOLS,
  type AppProbes,
  type AppProtocol,
  BUNDLE_DIRECTORY,
  FEED_DIRECTORY,
  FEED_TOKEN,
  type InjectedFeed,
  type InjectedTls,
  isTracesEndpoint,
  TLS_DIRECTORY,
  TLS_FILE_NAME,
  TLS_FILES,
  TRACES_SAMPLERS,
  type TracesSampler,
} from '../api/kube/agent-contract.ts';
import type { WorkloadRef } from '../api/kube/keys.ts';
import { parseTrustAnchor, type TrustAnchor } from '../bundle/trust-anchor.ts';
import { RefusedError } from '../errors.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import type { LogFormat, LogLevel } from '../telemetry/logger.ts';

/** All settings of the agent, checked. `agent-reference.ts` describes each. */
export interface AgentConfig {
  /** Undefined: a bundle for any workload is accepted. */
  readonly workload: WorkloadRef | undefined;
  /** Undefined: bundles need no signature. */
  readonly trust: { readonly anchor: TrustAnchor; readonly floor: number } | undefined;
  /** Undefined: bundles come through the volume only. */
  readonly feed: AgentFeed | undefined;
  readonly bundleDir: string;
  /** Undefined: labels are ignored. */
  readonly labelsFile: string | undefined;
  /** Undefined: the last good bundle does not survive a restart. */
  readonly stateDir: string | undefined;
  readonly ports: readonly { readonly listenPort: number; readonly appPort: number }[];
  /** By port of the application; 0: every other port. */
  readonly appProtocols: ReadonlyMap<number, AppProtocol>;
  /** Undefined: the application listens on 127.0.0.1. */
  readonly podIp: string | undefined;
  readonly adminPort: number;
  /** Undefined: only `ports` are served. */
  readonly capturePort: number | undefined;
  /** Port on 127.0.0.1 for profiles; undefined: none. */
  readonly profilingPort: number | undefined;
  /** Undefined: no port is blocked. */
  readonly blockedPort: number | undefined;
  readonly appProbes: AppProbes;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly accessLog: boolean;
  /** Serve clients that speak HTTP/1.0. */
  readonly acceptHttp10: boolean;
  /** Evaluate streams again when the policy changes and when their token expires. */
  readonly reevaluateStreams: boolean;
  /** Share of allowed requests that are logged, 0 to 1. */
  readonly accessLogSampleRate: number;
  readonly drainMs: number;
  /** Undefined: no traces. */
  readonly traces: AgentTraces | undefined;
  readonly maxConnections: number;
  /** Undefined: the agent does not terminate TLS. */
  readonly tls: AgentTls | undefined;
}

/** How TLS is terminated. */
export interface AgentTls {
  readonly mode: InjectedTls['mode'];
  readonly trustDomains: readonly string[];
  readonly files: { readonly directory: string } & Readonly<Record<keyof typeof TLS_FILES, string>>;
}

/** Where traces go, and which requests they have. */
export interface AgentTraces {
  /** http or https URL without credentials, query and fragment. */
  readonly endpoint: string;
  readonly sampler: TracesSampler;
  /** Share of the traces that begin at this agent, for samplers by ratio; 0 to 1. */
  readonly ratio: number;
  /** Name of the pod; undefined: unknown. */
  readonly podName: string | undefined;
}

/** Where the feed is, and how the agent identifies itself there. */
export interface AgentFeed extends Required<Omit<InjectedFeed, 'address'>> {
  readonly host: string;
  readonly port: number;
}

/** Flag of a setting, without its dashes. */
export type AgentSetting =
  | 'namespace'
  | 'workload'
  | 'workload-kind'
  | 'trust-anchor'
  | 'bundle-floor'
  | 'feed'
  | 'bundle-dir'
  | 'labels-file'
  | 'state-dir'
  | 'ports'
  | 'app-protocols'
  | 'pod-ip'
  | 'admin-port'
  | 'capture-port'
  | 'profiling-port'
  | 'blocked-port'
  | 'app-probes'
  | 'log-level'
  | 'log-format'
  | 'access-log'
  | 'access-log-sample-rate'
  | 'drain-seconds'
  | 'max-connections'
  | 'otlp-endpoint'
  | 'traces-sampler'
  | 'traces-sampler-arg'
  | 'pod-name'
  | 'accept-http10'
  | 'tls'
  | 'reevaluate-streams';

/** Environment variable of each setting by its flag. */
export const AGENT_SETTINGS: Readonly<Record<AgentSetting, string>> = {
  namespace: AGENT_ENV.namespace,
  workload: AGENT_ENV.workload,
  'workload-kind': AGENT_ENV.workloadKind,
  'trust-anchor': AGENT_ENV.trustAnchor,
  'bundle-floor': AGENT_ENV.bundleFloor,
  feed: AGENT_ENV.feed,
  'bundle-dir': AGENT_ENV.bundleDirectory,
  'labels-file': AGENT_ENV.labelsFile,
  'state-dir': AGENT_ENV.stateDirectory,
  ports: AGENT_ENV.ports,
  'app-protocols': AGENT_ENV.appProtocols,
  'pod-ip': AGENT_ENV.podIp,
  'admin-port': AGENT_ENV.adminPort,
  'capture-port': AGENT_ENV.capturePort,
  'profiling-port': AGENT_ENV.profilingPort,
  'blocked-port': AGENT_ENV.blockedPort,
  'app-probes': AGENT_ENV.appProbes,
  'log-level': AGENT_ENV.logLevel,
  'log-format': AGENT_ENV.logFormat,
  'access-log': AGENT_ENV.accessLog,
  'access-log-sample-rate': AGENT_ENV.accessLogSampleRate,
  'drain-seconds': AGENT_ENV.drainSeconds,
  'max-connections': AGENT_ENV.maxConnections,
  'otlp-endpoint': AGENT_ENV.otlpEndpoint,
  'traces-sampler': AGENT_ENV.tracesSampler,
  'traces-sampler-arg': AGENT_ENV.tracesSamplerArg,
  'pod-name': AGENT_ENV.podName,
  'accept-http10': AGENT_ENV.acceptHttp10,
  tls: AGENT_ENV.tls,
  'reevaluate-streams': AGENT_ENV.reevaluateStreams,
};

const PORT = z.int().check(z.gte(0), z.lte(65_535));
const APP_PORT = z.int().check(z.gte(1), z.lte(65_535));
const SHARE = z.number().check(z.gte(0), z.lte(1));
const COUNT = z.int().check(z.gte(1), z.lte(1_000_000));
const NUMBER = z.int().check(z.gte(0));
const SECONDS = z.number().check(z.gte(0), z.lte(3600));
const LEVEL = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const FEED: z.ZodMiniType<InjectedFeed> = z.strictObject({
  address: z.string().check(z.regex(/^[^\s:]{1,253}:[0-9]{1,5}$/)),
  authorities: z.string().check(z.maxLength(16_384)),
  serverName: z.exactOptional(z.string().check(z.minLength(1))),
  tokenFile: z.exactOptional(z.string().check(z.minLength(1))),
});
const TLS_FILE = z.string().check(z.regex(TLS_FILE_NAME));
const TLS: z.ZodMiniType<InjectedTls> = z.strictObject({
  mode: z.enum(['permissive', 'strict']),
  trustDomains: z.array(z.string().check(z.regex(/^[^\s/:]{1,255}$/))).check(z.minLength(1), z.maxLength(64)),
  directory: z.exactOptional(z.string().check(z.minLength(1))),
  certificate: z.exactOptional(TLS_FILE),
  key: z.exactOptional(TLS_FILE),
  trustBundle: z.exactOptional(TLS_FILE),
});
const PROBES: z.ZodMiniType<AppProbes> = z.record(
  z.string().check(z.regex(/^[^/]+\/(?:livez|readyz|startupz|poststartz|prestopz)$/)),
  z.strictObject({
    httpGet: z.exactOptional(
      z.strictObject({
        path: z.exactOptional(z.string()),
        port: APP_PORT,
        scheme: z.exactOptional(z.enum(['HTTP', 'HTTPS'])),
        httpHeaders: z.exactOptional(z.array(z.strictObject({ name: z.string(), value: z.string() }))),
      }),
    ),
    tcpSocket: z.exactOptional(z.strictObject({ port: APP_PORT })),
    grpc: z.exactOptional(z.strictObject({ port: APP_PORT, service: z.exactOptional(z.string()) })),
    timeoutSeconds: z.exactOptional(z.int().check(z.gte(1), z.lte(3600))),
  }),
);

/** Settings from flags and environment; an empty variable counts as absent. @throws RefusedError SP_CONFIG that names the setting */
export function loadAgentConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): AgentConfig {
  const flags = readFlags(argv);
  const read: Read = (setting) => {
    const value = flags[setting] ?? env[AGENT_SETTINGS[setting]];
    return value === undefined || value === '' ? undefined : value;
  };
  const number = (setting: AgentSetting, schema: z.ZodMiniType<number>, fallback: number): number => {
    const value = read(setting);
    return value === undefined ? fallback : checked(setting, schema, Number(value));
  };
  return {
    workload: workloadOf(read),
    trust: trustOf(read('trust-anchor'), number('bundle-floor', NUMBER, 0), workloadOf(read)),
    feed: feedOf(read('feed'), read('trust-anchor')),
    bundleDir: read('bundle-dir') ?? BUNDLE_DIRECTORY,
    labelsFile: read('labels-file'),
    stateDir: read('state-dir'),
    ports: portsOf(read('ports') ?? ''),
    appProtocols: protocolsOf(read('app-protocols') ?? ''),
    podIp: podIpOf(read('pod-ip')),
    adminPort: number('admin-port', PORT, AGENT_ADMIN_PORT),
    capturePort: read('capture-port') === undefined ? undefined : number('capture-port', PORT, 0),
    profilingPort: read('profiling-port') === undefined ? undefined : number('profiling-port', APP_PORT, 0),
    blockedPort: read('blocked-port') === undefined ? undefined : number('blocked-port', PORT, 0),
    appProbes: checked('app-probes', PROBES, jsonOf('app-probes', read('app-probes') ?? '{}')),
    logLevel: checked('log-level', LEVEL, read('log-level') ?? 'info'),
    logFormat: checked('log-format', z.enum(['json', 'text']), read('log-format') ?? 'json'),
    accessLog: checked('access-log', z.enum(['on', 'off']), read('access-log') ?? 'on') === 'on',
    accessLogSampleRate: number('access-log-sample-rate', SHARE, 1),
    drainMs: number('drain-seconds', SECONDS, LIMITS.drainTime.value / 1000) * 1000,
    maxConnections: number('max-connections', COUNT, LIMITS.clientConnections.value),
    traces: tracesOf(read, number),
    acceptHttp10: checked('accept-http10', z.enum(['on', 'off']), read('accept-http10') ?? 'off') === 'on',
    tls: tlsOf(read('tls')),
    reevaluateStreams: checked('reevaluate-streams', z.enum(['on', 'off']), read('reevaluate-streams') ?? 'off') === 'on',
  };
}

/** The value of a setting; undefined: it is not set. */
type Read = (setting: AgentSetting) => string | undefined;

function readFlags(argv: readonly string[]): Readonly<Record<string, string | undefined>> {
  try {
    const options = Object.fromEntries(Object.keys(AGENT_SETTINGS).map((name) => [name, { type: 'string' } as const]));
    return parseArgs({ args: [...argv], options, strict: true }).values;
  } catch (error) {
    throw new RefusedError('SP_CONFIG', error instanceof Error ? error.message : 'unknown flag', { cause: error });
  }
}

function checked<T>(setting: AgentSetting, schema: z.ZodMiniType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const at = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw refused(setting, `${issue?.message ?? 'invalid'}${at}`);
}

function refused(setting: AgentSetting, message: string): RefusedError {
  return new RefusedError('SP_CONFIG', `--${setting} (${AGENT_SETTINGS[setting]}): ${message}`);
}

function workloadOf(read: (setting: AgentSetting) => string | undefined): AgentConfig['workload'] {
  const namespace = read('namespace');
  const name = read('workload');
  if (name === undefined) return undefined;
  if (namespace === undefined) throw refused('workload', 'needs --namespace, too');
  return { namespace, kind: read('workload-kind') ?? 'deployment', name };
}

function trustOf(anchor: string | undefined, floor: number, workload: AgentConfig['workload']): AgentConfig['trust'] {
  if (anchor === undefined) return undefined;
  if (workload === undefined) throw refused('trust-anchor', 'needs --workload, too');
  try {
    return { anchor: parseTrustAnchor(anchor), floor };
  } catch (error) {
    throw refused('trust-anchor', error instanceof RefusedError ? error.message : 'invalid');
  }
}

/** Without a trust anchor, the number of a bundle is not known, so that an older one could replace it. */
function feedOf(text: string | undefined, anchor: string | undefined): AgentFeed | undefined {
  if (text === undefined) return undefined;
  if (anchor === undefined) throw refused('feed', 'needs --trust-anchor, too');
  const { address, ...feed } = checked('feed', FEED, jsonOf('feed', text));
  const [host = '', port] = address.split(':');
  return { host, port: checked('feed', APP_PORT, Number(port)), serverName: host, tokenFile: `${FEED_DIRECTORY}/${FEED_TOKEN}`, ...feed };
}

function tracesOf(
  read: Read,
  number: (setting: AgentSetting, schema: z.ZodMiniType<number>, fallback: number) => number,
): AgentConfig['traces'] {
  const endpoint = read('otlp-endpoint');
  if (endpoint === undefined) return undefined;
  if (!isTracesEndpoint(endpoint)) throw refused('otlp-endpoint', 'not a URL like http://collector.observability:4318');
  return {
    endpoint,
    sampler: checked('traces-sampler', z.enum(TRACES_SAMPLERS), read('traces-sampler') ?? 'parentbased_always_on'),
    ratio: number('traces-sampler-arg', SHARE, 1),
    podName: read('pod-name'),
  };
}

function tlsOf(text: string | undefined): AgentTls | undefined {
  if (text === undefined) return undefined;
  const { mode, trustDomains, ...files } = checked('tls', TLS, jsonOf('tls', text));
  return { mode, trustDomains, files: { directory: TLS_DIRECTORY, ...TLS_FILES, ...files } };
}

/** Parses a list such as `15101:8080,15102:9090`. */
function portsOf(text: string): AgentConfig['ports'] {
  const ports = text.split(',').filter((entry) => entry.trim() !== '');
  return ports.map((entry) => {
    const parts = /^\s*([0-9]{1,5}):([0-9]{1,5})\s*$/.exec(entry);
    if (parts === null) throw refused('ports', `${JSON.stringify(entry)} is not <listen port>:<application port>`);
    return { listenPort: checked('ports', PORT, Number(parts[1])), appPort: checked('ports', APP_PORT, Number(parts[2])) };
  });
}

/** Parses a list such as `8080:http2,9090:http1`; `*` stands for every other port. */
function protocolsOf(text: string): ReadonlyMap<number, AppProtocol> {
  const entries = text.split(',').filter((entry) => entry.trim() !== '');
  return new Map(
    entries.map((entry) => {
      const parts = /^\s*([0-9]{1,5}|\*):([a-z0-9]{1,10})\s*$/.exec(entry);
      if (parts === null) throw refused('app-protocols', `${JSON.stringify(entry)} is not <application port>:<protocol>`);
      const port = parts[1] === '*' ? 0 : checked('app-protocols', APP_PORT, Number(parts[1]));
      return [port, checked('app-protocols', z.enum(APP_PROTOCOLS), parts[2])] as const;
    }),
  );
}

function podIpOf(text: string | undefined): string | undefined {
  if (text !== undefined && isIP(text) === 0) throw refused('pod-ip', 'not an IP address');
  return text;
}

function jsonOf(setting: AgentSetting, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RefusedError('SP_CONFIG', `--${setting} (${AGENT_SETTINGS[setting]}): not JSON`, { cause: error });
  }
}
