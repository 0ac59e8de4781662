/*
 * The controller's configuration. In: flags, environment, the mounted file. Out: one checked object; flags win over the
 * environment, the environment over the file, the file over defaults, and a key that nobody knows is an error. Called by
 * the controller's entry point, and again when the mounted file changes.
 */
import { parseArgs } from 'node:util';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import type { MeshConfig } from '../api/mesh-config.ts';
import { RefusedError } from '../errors.ts';
import type { LogLevel } from '../telemetry/logger.ts';
import { durationSchema, meshSchema } from './mesh.ts';

/** Everything the controller can be told. Times in milliseconds. */
export interface ControllerConfig {
  readonly mesh: MeshConfig;
  readonly logLevel: LogLevel;
  readonly http: {
    readonly host: string;
    /** /healthz, /readyz and /metrics; 0: any free port. */
    readonly port: number;
  };
  readonly kubernetes: {
    /** Path of a kubeconfig; absent: `$KUBECONFIG`, or the pod's own account. */
    readonly kubeconfig?: string;
    readonly qps: number;
    readonly burst: number;
  };
  readonly leaderElection: {
    readonly enabled: boolean;
    /** Name of the Lease in {@link ControllerConfig.namespace}. */
    readonly name: string;
  };
  /** Namespace of the controller itself: its Lease, its Secret. */
  readonly namespace: string;
  /** Name of this replica; the pod's name. */
  readonly identity: string;
  readonly workers: number;
  readonly resyncMs: number;
  readonly touch: {
    /** Pods whose annotation is patched at the same time. */
    readonly batchSize: number;
  };
  readonly jwks: {
    readonly refreshMs: number;
    /** Never dialled, besides link-local and metadata addresses. */
    readonly blockedCidrs: readonly string[];
    /** PEM file of further certificate authorities for https; absent: none. */
    readonly caFile?: string;
  };
  readonly webhook: {
    readonly enabled: boolean;
    readonly host: string;
    readonly port: number;
    /** Name of the Service that the API server calls. */
    readonly service: string;
    /** Image of the injected agent; needed when the webhook is enabled. */
    readonly agentImage: string;
    readonly agentImagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
    /** Absent: the agent's own default. */
    readonly agentLogLevel?: LogLevel;
    /** Of the agent's container, in Kubernetes' own shape; absent: injection's default. */
    readonly agentResources?: {
      readonly requests?: Readonly<Record<string, string>>;
      readonly limits?: Readonly<Record<string, string>>;
    };
    readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  };
}

const port = z.coerce.number().int().min(0).max(65_535);
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const list = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').filter((part) => part !== ''))]);
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
/** A quantity may be written as a number in YAML. */
const quantities = z.record(z.string(), z.union([z.string(), z.number().transform(String)]));
const configObject = z.strictObject({
  mesh: meshSchema.prefault({}),
  logLevel: logLevel.default('info'),
  http: z.strictObject({ host: z.string().default('0.0.0.0'), port: port.default(8080) }).prefault({}),
  kubernetes: z
    .strictObject({
      kubeconfig: z.string().min(1).exactOptional(),
      qps: z.coerce.number().positive().default(200),
      burst: z.coerce.number().int().positive().default(400),
    })
    .prefault({}),
  leaderElection: z.strictObject({ enabled: flag.default(true), name: z.string().min(1).default('sallyport-controller') }).prefault({}),
  namespace: z.string().min(1).default('sallyport-system'),
  identity: z.string().min(1).default('sallyport-controller'),
  workers: z.coerce.number().int().min(1).max(64).default(4),
  resync: durationSchema.default(10 * 3_600_000),
  touch: z.strictObject({ batchSize: z.coerce.number().int().min(1).max(100).default(8) }).prefault({}),
  jwks: z
    .strictObject({
      refresh: durationSchema.default(20 * 60_000),
      blockedCidrs: list.default([]),
      caFile: z.string().min(1).exactOptional(),
    })
    .prefault({}),
  webhook: z
    .strictObject({
      enabled: flag.default(false),
      host: z.string().default('0.0.0.0'),
      port: port.default(9443),
      service: z.string().min(1).default('sallyport'),
      agentImage: z.string().default(''),
      agentImagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
      agentLogLevel: logLevel.exactOptional(),
      agentResources: z.strictObject({ requests: quantities.exactOptional(), limits: quantities.exactOptional() }).exactOptional(),
      tlsMinVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
    })
    .refine((webhook) => !webhook.enabled || webhook.agentImage !== '', {
      path: ['agentImage'],
      error: 'needed when the webhook is enabled',
    })
    .prefault({}),
});

/** The schema of the configuration file, for its reference page. */
export const controllerConfigSchema: z.ZodType = configObject;

/** Keys that flags and environment may set: dotted path, flag, variable. Everything else belongs into the file. */
export const CONTROLLER_SETTINGS: readonly (readonly [path: string, flag: string, variable: string])[] = [
  ['logLevel', 'log-level', 'SALLYPORT_LOG_LEVEL'],
  ['http.host', 'http-host', 'SALLYPORT_HTTP_HOST'],
  ['http.port', 'http-port', 'SALLYPORT_HTTP_PORT'],
  ['kubernetes.kubeconfig', 'kubeconfig', 'SALLYPORT_KUBECONFIG'],
  ['kubernetes.qps', 'kube-api-qps', 'SALLYPORT_KUBE_API_QPS'],
  ['kubernetes.burst', 'kube-api-burst', 'SALLYPORT_KUBE_API_BURST'],
  ['leaderElection.enabled', 'leader-elect', 'SALLYPORT_LEADER_ELECT'],
  ['leaderElection.name', 'leader-election-name', 'SALLYPORT_LEADER_ELECTION_NAME'],
  ['namespace', 'namespace', 'POD_NAMESPACE'],
  ['identity', 'identity', 'POD_NAME'],
  ['workers', 'workers', 'SALLYPORT_WORKERS'],
  ['resync', 'resync', 'SALLYPORT_RESYNC'],
  ['jwks.refresh', 'jwks-refresh', 'SALLYPORT_JWKS_REFRESH'],
  ['jwks.blockedCidrs', 'jwks-blocked-cidrs', 'SALLYPORT_JWKS_BLOCKED_CIDRS'],
  ['jwks.caFile', 'jwks-ca-file', 'SALLYPORT_JWKS_CA_FILE'],
  ['webhook.enabled', 'webhook', 'SALLYPORT_WEBHOOK'],
  ['webhook.host', 'webhook-host', 'SALLYPORT_WEBHOOK_HOST'],
  ['webhook.port', 'webhook-port', 'SALLYPORT_WEBHOOK_PORT'],
  ['webhook.service', 'webhook-service', 'SALLYPORT_WEBHOOK_SERVICE'],
  ['webhook.tlsMinVersion', 'tls-min-version', 'SALLYPORT_TLS_MIN_VERSION'],
  ['webhook.agentImage', 'agent-image', 'SALLYPORT_AGENT_IMAGE'],
  ['webhook.agentImagePullPolicy', 'agent-image-pull-policy', 'SALLYPORT_AGENT_IMAGE_PULL_POLICY'],
];

export interface ConfigInput {
  /** Without the program's own name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of the file; absent or empty: no file. */
  readonly fileText?: string;
}

/** The value of `--config` or `$SALLYPORT_CONFIG`: path of the file; undefined when neither is given. @throws RefusedError SP_CONFIG */
export function configFileOf(input: Omit<ConfigInput, 'fileText'>): string | undefined {
  return parseFlags(input.args).get('config') ?? input.env['SALLYPORT_CONFIG'];
}

/** The whole configuration. @throws RefusedError SP_CONFIG naming every key that is wrong */
export function loadControllerConfig(input: ConfigInput): ControllerConfig {
  const raw = parseFile(input.fileText);
  const flags = parseFlags(input.args);
  for (const [path, flagName, variable] of CONTROLLER_SETTINGS) {
    const value = flags.get(flagName) ?? input.env[variable];
    if (value !== undefined && value !== '') setPath(raw, path.split('.'), value);
  }
  const parsed = configObject.safeParse(raw);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'configuration'}: ${issue.message}`);
    throw new RefusedError('SP_CONFIG', faults.join('; '));
  }
  const { resync, jwks, ...rest } = parsed.data;
  const { refresh, ...keys } = jwks;
  return { ...rest, resyncMs: resync, jwks: { ...keys, refreshMs: refresh } };
}

function parseFlags(args: readonly string[]): ReadonlyMap<string, string> {
  const names = ['config', ...CONTROLLER_SETTINGS.map(([, name]) => name)];
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
      strict: true,
    });
    return new Map(Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch (error) {
    throw new RefusedError('SP_CONFIG', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function parseFile(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = parseYaml(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new RefusedError('SP_CONFIG', `the configuration file is not YAML: ${error instanceof Error ? error.message : ''}`, {
      cause: error,
    });
  }
  if (value === null) return {};
  if (!isRecord(value)) throw new RefusedError('SP_CONFIG', 'the configuration file is not a mapping');
  return structuredClone(value);
}

function setPath(target: Record<string, unknown>, path: readonly string[], value: string): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const inner = target[key];
  const next = isRecord(inner) ? inner : {};
  target[key] = next;
  setPath(next, rest, value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
