/*
 * The controller's configuration: flags win over the environment, the environment over the mounted file, the file over
 * defaults. An unknown key is an error. Read at start, and again whenever the mounted file changes.
 */

import { parseArgs } from 'node:util';
import * as z from 'zod';
import type { KeyServer } from '../api/key-servers.ts';
import { CAPTURE_MODES, type CaptureMode, type InjectedTraces, TRACES_SAMPLERS, type TracesSampler } from '../api/kube/agent-contract.ts';
import { initImageOf } from '../api/kube/agent-image.ts';
import type { AnnotationBounds, ProbeTiming, ResourceRequirements, TlsSettings } from '../api/kube/agent-settings.ts';
import { parseQuantity } from '../api/kube/quantity.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { RefusedError } from '../errors.ts';
import type { LogFormat, LogLevel } from '../telemetry/logger.ts';
import {
  accessLog,
  accessLogSampleRate,
  agentTls,
  annotationBounds,
  drainSeconds,
  maxConnections,
  probeTiming,
  tracesEndpoint,
  tracesSampler,
  tracesSamplerArg,
} from './agent-schemas.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { adaptIstioMesh } from './istio-mesh.ts';
import { keyServers } from './key-servers.ts';
import { internalSources } from './key-sources.ts';
import { durationSchema, ipBlockSchema, meshSchema } from './mesh.ts';
import { parseConfigFile, setPath } from './parse-config-file.ts';
import { IMAGE_REPOSITORY, MAX_WATCHED_NAMESPACES, NAMESPACE_NAME } from './patterns.ts';

/** All settings of the controller, checked. {@link controllerConfigSchema} describes each; times are in milliseconds here. */
export interface ControllerConfig {
  readonly mesh: MeshConfig;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly http: { readonly host: string; readonly port: number };
  /** Port on 127.0.0.1 for profiles; 0: none. */
  readonly profilingPort: number;
  readonly kubernetes: { readonly kubeconfig?: string; readonly qps: number; readonly burst: number };
  readonly leaderElection: { readonly enabled: boolean; readonly name: string };
  readonly namespace: string;
  /** Where the configuration file is mounted from; absent: not known. */
  readonly configMap?: string;
  /** Without duplicates; empty: the whole cluster. {@link namespacesToWatch} adds those that it must read as well. */
  readonly watchNamespaces: readonly string[];
  readonly identity: string;
  readonly workers: number;
  readonly resyncMs: number;
  readonly touch: { readonly batchSize: number };
  readonly jwks: {
    readonly refreshMs: number;
    readonly blockedCidrs: readonly string[];
    readonly internalCidrs: readonly string[];
    readonly internalSources: readonly { readonly cidrs: readonly string[]; readonly namespaces?: readonly string[] }[];
    readonly caFile?: string;
    readonly servers: readonly KeyServer[];
  };
  readonly webhook: {
    readonly enabled: boolean;
    readonly host: string;
    readonly port: number;
    readonly service: string;
    /** Not empty when the webhook is enabled. */
    readonly agentImage: string;
    readonly captureMode: CaptureMode;
    /** Absent: derived from `agentImage`. */
    readonly initImage?: string;
    readonly agentImagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
    readonly agentLogLevel?: LogLevel;
    readonly agentLogFormat?: LogFormat;
    readonly agentResources?: ResourceRequirements;
    /** Of the init container. */
    readonly initResources?: ResourceRequirements;
    readonly agentAccessLog?: 'on' | 'off';
    readonly agentAccessLogSampleRate?: number;
    readonly agentDrainSeconds?: number;
    readonly agentMaxConnections?: number;
    /** Absent: agents export no traces. */
    readonly agentTraces?: InjectedTraces;
    readonly agentStartupProbe?: ProbeTiming;
    readonly agentReadinessProbe?: ProbeTiming;
    readonly agentTls?: Omit<TlsSettings, 'podVolume'>;
    readonly annotationBounds?: AnnotationBounds;
    /** More repositories whose images count as agents, without tag and digest. */
    readonly agentRepositories: readonly string[];
    readonly privilegedContainers: 'refuse' | 'report';
    readonly istioPods: 'refuse' | 'inject' | 'skip';
    /** Absent: the webhook issues its certificates. */
    readonly certificateDirectory?: string;
    /** Whether the webhook warns what an edit of a policy lets in. */
    readonly newAccessWarnings: boolean;
    readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  };
  /** Without `endpoint` the controller exports no traces. */
  readonly traces: { readonly endpoint?: string; readonly sampler: TracesSampler; readonly samplerArg: number };
  readonly reports: { readonly enabled: boolean };
  readonly feed: {
    readonly enabled: boolean;
    readonly host: string;
    readonly port: number;
    readonly maxStreams: number;
    /** File with a token of this pod for the feed of the leader; absent: only the leader serves agents. */
    readonly tokenFile?: string | undefined;
    /** ServiceAccount, `namespace/name`; absent: no agent serves a node. */
    readonly nodeAgent?: string | undefined;
  };
}

const port = z.coerce.number().int().min(0).max(65_535);
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
/** Comma-separated in a flag. */
const texts = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').filter((part) => part !== ''))]);
const list = texts.pipe(z.array(ipBlockSchema));
const namespaces = texts
  .transform((names) => [...new Set(names)])
  .pipe(
    z
      .array(z.string().regex(NAMESPACE_NAME, { error: 'not a name of a namespace' }))
      .max(MAX_WATCHED_NAMESPACES, { error: `more than ${MAX_WATCHED_NAMESPACES} namespaces; leave it empty to watch all namespaces` }),
  );
const imageRepository = z.string().regex(IMAGE_REPOSITORY, { error: 'not an image repository without tag and digest' });
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const logFormat = z.enum(['json', 'text']);
/** A quantity may be written as a number in YAML. */
const quantity = z
  .union([z.string(), z.number().transform(String)])
  .refine((text) => parseQuantity(text) !== undefined, { error: 'not a quantity such as 100m or 64Mi' });
const quantities = z.record(z.string(), quantity);

/** The API server refuses a container that requests more than its limit, and with it every injected pod. */
function requestsWithinLimits({ value, issues }: z.core.ParsePayload<ResourceRequirements>): void {
  for (const [name, request] of Object.entries(value.requests ?? {})) {
    const limit = value.limits?.[name];
    if (limit === undefined || (parseQuantity(request) ?? 0) <= (parseQuantity(limit) ?? 0)) continue;
    issues.push({ code: 'custom', input: request, path: ['requests', name], message: `${request} is above the limit of ${limit}` });
  }
}
const configObject = z.strictObject({
  mesh: meshSchema.prefault({}),
  logLevel: logLevel.default('info').meta({ description: DESCRIPTIONS.logLevel }),
  logFormat: logFormat.default('json').meta({ description: DESCRIPTIONS.logFormat }),
  http: z
    .strictObject({
      host: z.string().default('0.0.0.0').meta({ description: 'Address on which `/healthz`, `/readyz` and `/metrics` are served' }),
      port: port.default(8080).meta({ description: 'Port of `/healthz`, `/readyz` and `/metrics`; 0: any free port' }),
    })
    .prefault({}),
  profilingPort: port.default(0).meta({ description: DESCRIPTIONS.profilingPort }),
  kubernetes: z
    .strictObject({
      kubeconfig: z
        .string()
        .min(1)
        .exactOptional()
        .meta({ description: "Path of a kubeconfig file; absent: `$KUBECONFIG`, or else the pod's service account" }),
      qps: z.coerce.number().positive().default(200).meta({ description: DESCRIPTIONS.kubeApiQps }),
      burst: z.coerce.number().int().positive().default(400).meta({ description: DESCRIPTIONS.kubeApiBurst }),
    })
    .prefault({}),
  leaderElection: z
    .strictObject({
      enabled: flag.default(true).meta({ description: 'Elects a leader, which alone writes; switch it off only for a single replica' }),
      name: z.string().min(1).default('sallyport-controller').meta({ description: "Name of the Lease, in the controller's namespace" }),
    })
    .prefault({}),
  namespace: z
    .string()
    .min(1)
    .default('sallyport-system')
    .meta({ description: 'Namespace of the controller, which holds its Lease and its Secret' }),
  configMap: z.string().min(1).exactOptional().meta({
    description: "Name of the ConfigMap that holds this configuration, in the controller's namespace; it gets events about changes",
  }),
  watchNamespaces: namespaces.default([]).meta({ description: `${DESCRIPTIONS.watchNamespaces}; comma-separated in a flag` }),
  identity: z.string().min(1).default('sallyport-controller').meta({ description: 'Name of this replica, normally that of its pod' }),
  workers: z.coerce.number().int().min(1).max(64).default(4).meta({ description: DESCRIPTIONS.workers }),
  resync: durationSchema
    .default(10 * 3_600_000)
    .meta({ description: 'Time between two full resyncs; a resync that finds a change is counted as a missed event' }),
  touch: z
    .strictObject({
      batchSize: z.coerce
        .number()
        .int()
        .min(1)
        .max(100)
        .default(8)
        .meta({ description: 'Number of pods whose kubelet resync annotation is patched at the same time after a change' }),
    })
    .prefault({}),
  jwks: z
    .strictObject({
      refresh: durationSchema.default(20 * 60_000).meta({ description: DESCRIPTIONS.jwksRefresh }),
      blockedCidrs: list.default([]).meta({ description: `${DESCRIPTIONS.jwksBlockedCidrs}; comma-separated in a flag` }),
      internalCidrs: list.default([]).meta({ description: `${DESCRIPTIONS.jwksInternalCidrs}; comma-separated in a flag` }),
      internalSources: internalSources.default([{ cidrs: ['0.0.0.0/0', '::/0'] }]),
      caFile: z
        .string()
        .min(1)
        .exactOptional()
        .meta({ description: 'PEM file with certificate authorities for https, in addition to those of Node.js' }),
      servers: keyServers.default([]),
    })
    .prefault({}),
  webhook: z
    .strictObject({
      enabled: flag.default(false).meta({ description: 'Serves injection and validation webhooks' }),
      host: z.string().default('0.0.0.0').meta({ description: 'Address on which the webhook is served' }),
      port: port.default(9443).meta({ description: DESCRIPTIONS.webhookPort }),
      service: z.string().min(1).default('sallyport').meta({ description: 'Name of the Service that the API server calls' }),
      certificateDirectory: z.string().min(1).exactOptional().meta({
        description:
          'Directory with tls.crt and tls.key, which another controller renews; absent: the controller issues and renews certificates, and sets `caBundle`',
      }),
      agentImage: z
        .string()
        .default('')
        .meta({ description: 'Image of injected agents; required when the webhook is enabled. `sallyport inject` uses it, too' }),
      initImage: z.string().min(1).exactOptional().meta({
        description:
          "Image of the agent's init container; absent: that of the agent with the name `redirect` instead of `agent`. `sallyport inject` uses it, too",
      }),
      captureMode: z
        .enum(CAPTURE_MODES)
        .default('pod')
        .meta({ description: `${DESCRIPTIONS.captureMode}. \`sallyport inject\` uses it, too` }),
      agentImagePullPolicy: z
        .enum(['Always', 'IfNotPresent', 'Never'])
        .default('IfNotPresent')
        .meta({ description: DESCRIPTIONS.agentImagePullPolicy }),
      agentLogLevel: logLevel.exactOptional().meta({ description: `${DESCRIPTIONS.agentLogLevel}; absent: \`info\`` }),
      agentLogFormat: logFormat.exactOptional().meta({ description: `${DESCRIPTIONS.agentLogFormat}; absent: \`json\`` }),
      agentResources: z
        .strictObject({
          requests: quantities
            .exactOptional()
            .meta({ description: 'Resource requests of injected agents, as in a container; absent: 20m CPU, 64Mi memory' }),
          limits: quantities
            .exactOptional()
            .meta({ description: 'Resource limits of injected agents, as in a container; absent: 256Mi memory' }),
        })
        .check(requestsWithinLimits)
        .exactOptional(),
      initResources: z
        .strictObject({
          requests: quantities.exactOptional().meta({
            description:
              "Resource requests of the agent's init container, as in a container; without `webhook.initResources` those of `webhook.agentResources`, else 10m CPU, 32Mi memory",
          }),
          limits: quantities.exactOptional().meta({
            description:
              "Resource limits of the agent's init container, as in a container; without `webhook.initResources` those of `webhook.agentResources`, else 128Mi memory",
          }),
        })
        .check(requestsWithinLimits)
        .exactOptional(),
      agentAccessLog: accessLog.exactOptional(),
      agentAccessLogSampleRate: accessLogSampleRate.exactOptional(),
      agentDrainSeconds: drainSeconds.exactOptional(),
      agentMaxConnections: maxConnections.exactOptional(),
      agentTraces: z
        .strictObject({ endpoint: tracesEndpoint, sampler: tracesSampler.exactOptional(), samplerArg: tracesSamplerArg.exactOptional() })
        .exactOptional(),
      agentStartupProbe: probeTiming.exactOptional(),
      agentReadinessProbe: probeTiming.exactOptional(),
      agentTls: agentTls.exactOptional().meta({ description: DESCRIPTIONS.agentTls }),
      annotationBounds: annotationBounds.exactOptional(),
      agentRepositories: z.array(imageRepository).default([]).meta({ description: DESCRIPTIONS.agentRepositories }),
      privilegedContainers: z.enum(['refuse', 'report']).default('refuse').meta({ description: DESCRIPTIONS.privilegedContainers }),
      istioPods: z.enum(['refuse', 'inject', 'skip']).default('refuse').meta({ description: DESCRIPTIONS.istioPods }),
      newAccessWarnings: flag.default(false).meta({ description: DESCRIPTIONS.newAccessWarnings }),
      tlsMinVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2').meta({ description: DESCRIPTIONS.tlsMinVersion }),
    })
    .refine((webhook) => !webhook.enabled || webhook.agentImage !== '', {
      path: ['agentImage'],
      error: 'required when the webhook is enabled',
    })
    .refine(({ agentImage, initImage }) => agentImage === '' || (initImage ?? initImageOf(agentImage)) !== undefined, {
      path: ['initImage'],
      error: 'required, because it cannot be derived from an agentImage that has a digest, or whose name is not `agent`',
    })
    .prefault({}),
  traces: z
    .strictObject({
      endpoint: tracesEndpoint.exactOptional().meta({ description: DESCRIPTIONS.tracesEndpoint }),
      sampler: z.enum(TRACES_SAMPLERS).default('parentbased_always_on').meta({ description: DESCRIPTIONS.tracesSampler }),
      samplerArg: z.coerce.number().min(0).max(1).default(1).meta({ description: DESCRIPTIONS.tracesSamplerArg }),
    })
    .prefault({}),
  reports: z.strictObject({ enabled: flag.default(false).meta({ description: DESCRIPTIONS.reportsEnabled }) }).prefault({}),
  feed: z
    .strictObject({
      enabled: flag.default(false).meta({ description: DESCRIPTIONS.feedEnabled }),
      host: z.string().default('0.0.0.0').meta({ description: 'Address on which the feed is served' }),
      port: port.default(9444).meta({ description: DESCRIPTIONS.feedPort }),
      maxStreams: z.coerce.number().int().min(1).max(100_000).default(2000).meta({ description: DESCRIPTIONS.feedMaxStreams }),
      tokenFile: z.string().optional().meta({ description: DESCRIPTIONS.feedTokenFile }),
      nodeAgent: z
        .string()
        .regex(/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/, 'a ServiceAccount as `namespace/name`')
        .optional()
        .meta({ description: DESCRIPTIONS.feedNodeAgent }),
    })
    .prefault({}),
});

/** Schema of the configuration file with a description of every setting; the reference page is written from it. */
export const controllerConfigSchema: z.ZodType = configObject;

/** Settings that have a flag and an environment variable: dotted path in the file, flag, variable. The others are set in the file only. */
export const CONTROLLER_SETTINGS: readonly (readonly [path: string, flag: string, variable: string])[] = [
  ['logLevel', 'log-level', 'SALLYPORT_LOG_LEVEL'],
  ['logFormat', 'log-format', 'SALLYPORT_LOG_FORMAT'],
  ['http.host', 'http-host', 'SALLYPORT_HTTP_HOST'],
  ['http.port', 'http-port', 'SALLYPORT_HTTP_PORT'],
  ['profilingPort', 'profiling-port', 'SALLYPORT_PROFILING_PORT'],
  ['kubernetes.kubeconfig', 'kubeconfig', 'SALLYPORT_KUBECONFIG'],
  ['kubernetes.qps', 'kube-api-qps', 'SALLYPORT_KUBE_API_QPS'],
  ['kubernetes.burst', 'kube-api-burst', 'SALLYPORT_KUBE_API_BURST'],
  ['leaderElection.enabled', 'leader-elect', 'SALLYPORT_LEADER_ELECT'],
  ['leaderElection.name', 'leader-election-name', 'SALLYPORT_LEADER_ELECTION_NAME'],
  ['namespace', 'namespace', 'POD_NAMESPACE'],
  ['configMap', 'config-map', 'SALLYPORT_CONFIG_MAP'],
  ['watchNamespaces', 'watch-namespaces', 'SALLYPORT_WATCH_NAMESPACES'],
  ['identity', 'identity', 'POD_NAME'],
  ['workers', 'workers', 'SALLYPORT_WORKERS'],
  ['resync', 'resync', 'SALLYPORT_RESYNC'],
  ['jwks.refresh', 'jwks-refresh', 'SALLYPORT_JWKS_REFRESH'],
  ['jwks.blockedCidrs', 'jwks-blocked-cidrs', 'SALLYPORT_JWKS_BLOCKED_CIDRS'],
  ['jwks.internalCidrs', 'jwks-internal-cidrs', 'SALLYPORT_JWKS_INTERNAL_CIDRS'],
  ['jwks.caFile', 'jwks-ca-file', 'SALLYPORT_JWKS_CA_FILE'],
  ['webhook.enabled', 'webhook', 'SALLYPORT_WEBHOOK'],
  ['webhook.host', 'webhook-host', 'SALLYPORT_WEBHOOK_HOST'],
  ['webhook.port', 'webhook-port', 'SALLYPORT_WEBHOOK_PORT'],
  ['webhook.service', 'webhook-service', 'SALLYPORT_WEBHOOK_SERVICE'],
  ['webhook.tlsMinVersion', 'tls-min-version', 'SALLYPORT_TLS_MIN_VERSION'],
  ['traces.endpoint', 'otlp-endpoint', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  ['traces.sampler', 'traces-sampler', 'OTEL_TRACES_SAMPLER'],
  ['traces.samplerArg', 'traces-sampler-arg', 'OTEL_TRACES_SAMPLER_ARG'],
  ['reports.enabled', 'reports', 'SALLYPORT_REPORTS_ENABLED'],
  ['feed.enabled', 'feed', 'SALLYPORT_FEED_ENABLED'],
  ['feed.host', 'feed-host', 'SALLYPORT_FEED_HOST'],
  ['feed.port', 'feed-port', 'SALLYPORT_FEED_PORT'],
  ['feed.tokenFile', 'feed-token-file', 'SALLYPORT_FEED_TOKEN_FILE'],
  ['webhook.agentImage', 'agent-image', 'SALLYPORT_AGENT_IMAGE'],
  ['webhook.initImage', 'init-image', 'SALLYPORT_INIT_IMAGE'],
  ['webhook.captureMode', 'capture-mode', 'SALLYPORT_CAPTURE_MODE'],
  ['webhook.agentImagePullPolicy', 'agent-image-pull-policy', 'SALLYPORT_AGENT_IMAGE_PULL_POLICY'],
];

/** Where the settings come from. */
export interface ConfigInput {
  /** Arguments of the process, without the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Contents of the configuration file; absent or empty: no file. */
  readonly fileText?: string;
}

/** Path of the configuration file: `--config`, or else `$SALLYPORT_CONFIG`; undefined when neither is set. @throws RefusedError SP_CONFIG */
export function configFileOf(input: Omit<ConfigInput, 'fileText'>): string | undefined {
  return parseFlags(input.args).get('config') ?? input.env['SALLYPORT_CONFIG'];
}

/** All settings, checked. @throws RefusedError SP_CONFIG that names every invalid setting */
export function loadControllerConfig(input: ConfigInput): ControllerConfig {
  const raw = parseConfigFile(input.fileText);
  const flags = parseFlags(input.args);
  for (const [path, flagName, variable] of CONTROLLER_SETTINGS) {
    const value = flags.get(flagName) ?? input.env[variable];
    if (value !== undefined && value !== '') setPath(raw, path.split('.'), value);
  }
  const { mesh, faults: meshFaults } = adaptIstioMesh(raw['mesh']);
  const faults = [...meshFaults];
  const parsed = configObject.safeParse(mesh === undefined ? raw : { ...raw, mesh });
  const issues = parsed.success ? [] : parsed.error.issues;
  const { feed, webhook } = parsed.data ?? {};
  if (feed?.enabled === true && webhook?.enabled !== true)
    faults.push('feed.enabled: needs webhook.enabled, whose certificate authority agents trust');
  if (feed?.enabled === true && webhook?.certificateDirectory !== undefined)
    faults.push('feed.enabled: needs the certificates that the controller issues; remove webhook.certificateDirectory');
  const all = [...faults, ...issues.map((issue) => `${issue.path.join('.') || 'configuration'}: ${issue.message}`)];
  if (!parsed.success || all.length > 0) throw new RefusedError('SP_CONFIG', all.join('; '));
  const { resync, jwks, ...rest } = parsed.data;
  const { refresh, ...keys } = jwks;
  return { ...rest, resyncMs: resync, jwks: { ...keys, refreshMs: refresh } };
}

/** Namespaces that the controller reads: those of `watchNamespaces`, the root namespace and its own; undefined: the whole cluster. */
export function namespacesToWatch({ watchNamespaces, mesh, namespace }: ControllerConfig): readonly string[] | undefined {
  return watchNamespaces.length === 0 ? undefined : [...new Set([...watchNamespaces, mesh.rootNamespace, namespace])];
}

/** What a configuration file has from Istio's MeshConfig that is ignored or renamed here. @throws RefusedError SP_CONFIG */
export function configNotes(fileText: string): readonly string[] {
  return adaptIstioMesh(parseConfigFile(fileText)['mesh']).notes;
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
