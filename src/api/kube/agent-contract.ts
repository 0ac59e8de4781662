/*
 * The contract between injection and the injected agent: names of containers, ports, paths and environment variables.
 * src/inject writes them into pods, the agent's configuration reads them.
 */

/** Name of the agent's container in an injected pod (a native sidecar). */
export const AGENT_CONTAINER = 'sallyport-agent';
/** Name of the init container that redirects inbound connections to the agent. */
export const REDIRECT_CONTAINER = 'sallyport-init';

/** Port of /healthz, /readyz, /metrics and /app-health; never captured. Istio's agent uses the same port. */
export const AGENT_ADMIN_PORT = 15_020;
/** Port that all inbound connections are redirected to. Istio's proxy uses the same port. */
export const AGENT_CAPTURE_PORT = 15_006;
/**
 * Port that, from inside a pod, leads to the port that connections are redirected to: an unprivileged container sees there that the redirect is
 * set. Nothing listens on it, and from outside it is a port as any other.
 */
export const AGENT_CANARY_PORT = 15_007;
/** Port that receives connections to undeclared ports of pods that an earlier version injected; the agent refuses all of them. */
export const AGENT_BLOCKED_PORT = 15_099;
/**
 * User ID and group ID of the agent: its own, so that no application runs as the same user by chance (65532 is `nonroot` of
 * distroless images). Below 65536, because a pod with its own user namespace maps no others.
 */
export const AGENT_USER = 57_020;
/** Users of agents that any version injected. */
export const AGENT_USERS: readonly number[] = [AGENT_USER, 65_532];

/** Directory of the mounted bundle (ConfigMap volume). */
export const BUNDLE_DIRECTORY = '/etc/sallyport/bundle';
/** Directory of the downward API volume. */
export const POD_INFO_DIRECTORY = '/etc/sallyport/pod';
/** File with the labels of the pod, one `key="escaped value"` per line. */
export const LABELS_FILE = '/etc/sallyport/pod/labels';
/** Writable directory for the last good bundle. */
export const STATE_DIRECTORY = '/var/lib/sallyport';

/** Directory of ServiceAccount tokens. A mount here keeps the API server from mounting the pod's token, which the agent does not need. */
export const TOKEN_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Directory of the token with which an agent identifies itself to the feed. */
export const FEED_DIRECTORY = '/var/run/secrets/sallyport.dev/feed';
/** Audience of that token. */
export const FEED_AUDIENCE = 'feed.sallyport.dev';
/** Name of the token's file. */
export const FEED_TOKEN = 'token';

/** Directory with the certificate, the key and the trust bundle of an agent that terminates TLS. */
export const TLS_DIRECTORY = '/etc/sallyport/tls';
/** Names of the files there: those of cert-manager, in a Secret or from its CSI driver. */
export const TLS_FILES = { certificate: 'tls.crt', key: 'tls.key', trustBundle: 'ca.crt' } as const;
/** Whether an agent terminates TLS: every connection must be mutual TLS, plain text passes, too, or not at all. */
export const TLS_MODES = ['off', 'permissive', 'strict'] as const;

/** Names of the volumes that injection adds; `feed` only with a feed, `tls` only where TLS is terminated with files that are not in a volume of the pod. */
export const AGENT_VOLUMES = {
  bundle: 'sallyport-bundle',
  podInfo: 'sallyport-pod-info',
  state: 'sallyport-state',
  noToken: 'sallyport-no-token',
  feed: 'sallyport-feed',
  tls: 'sallyport-tls',
} as const;
/** The same as a list. */
export const AGENT_VOLUME_NAMES: readonly string[] = Object.values(AGENT_VOLUMES);

/** Environment variables that webhooks of cloud providers add to every container; none of them changes what Node.js or the agent runs. */
export const FOREIGN_ENV: readonly string[] = [
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_DEFAULT_REGION',
  'AWS_REGION',
  'AWS_ROLE_ARN',
  'AWS_STS_REGIONAL_ENDPOINTS',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
  'AZURE_CLIENT_ID',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_TENANT_ID',
];
/** Directories of credentials that the same webhooks mount into every container. */
export const FOREIGN_MOUNTS: readonly string[] = [
  '/var/run/secrets/eks.amazonaws.com/',
  '/var/run/secrets/pods.eks.amazonaws.com/',
  '/var/run/secrets/azure/',
];

/** Environment variable of the init container: older iptables needs a lock file, whose default path is on the read-only root filesystem. */
export const REDIRECT_ENV = 'XTABLES_LOCKFILE';

/** How the connections of a pod are redirected: by its init container, or by a program on its node while the init container waits for it. */
export const CAPTURE_MODES = ['pod', 'node'] as const;
/** One of {@link CAPTURE_MODES}. */
export type CaptureMode = (typeof CAPTURE_MODES)[number];
/** First argument of the init container in each mode. */
export const CAPTURE_COMMANDS: Readonly<Record<CaptureMode, string>> = { pod: 'redirect', node: 'wait' };

/** Most ports of a pod that annotations exclude or select: each is a rule in its network namespace. */
export const MAX_LISTED_PORTS = 1_000;
/** Most arguments of the init container: two for each listed port and for the agent's admin port, and those that are not about one. */
export const MAX_REDIRECT_ARGS: number = 2 * (MAX_LISTED_PORTS + 1) + 8;

/** Environment variables of an init container that waits for the program on its node. */
export const WAIT_ENV = { podUid: 'POD_UID', nodeName: 'NODE_NAME' } as const;

/**
 * Name of the abstract Unix socket by which an init container that waits says which pod it is of. It is in the pod's network namespace, and
 * connections are not accepted.
 */
export const WAIT_SOCKET_PREFIX = 'sallyport.dev/wait/';

/** Path prefix on {@link AGENT_ADMIN_PORT} that serves the application's probes: `<prefix><container>/<livez|readyz|startupz>`. */
export const APP_HEALTH_PREFIX = '/app-health/';

/**
 * Version of the form in which injection writes the containers. Absent in a pod: 1, which ran as user 65532. 2: one agent port for each
 * captured port.
 */
export const RENDERING = 3;

/** Names of the environment variables of the agent's container. */
export const AGENT_ENV = {
  podIp: 'POD_IP',
  podName: 'POD_NAME',
  namespace: 'POD_NAMESPACE',
  /** Name of the workload whose bundle is enforced. */
  workload: 'SALLYPORT_WORKLOAD',
  /** Kind of that workload in lower case; absent: `deployment`. */
  workloadKind: 'SALLYPORT_WORKLOAD_KIND',
  /** Comma-separated `<listen port>:<container port>`; absent or empty: none. */
  ports: 'SALLYPORT_PORTS',
  /** Comma-separated `<container port>:<protocol>`, see {@link AppProtocol}; a port that is not listed: `client`. */
  appProtocols: 'SALLYPORT_APP_PROTOCOLS',
  blockedPort: 'SALLYPORT_BLOCKED_PORT',
  /** {@link AGENT_CAPTURE_PORT}; absent: an earlier version injected the pod, and `ports` are served. */
  capturePort: 'SALLYPORT_CAPTURE_PORT',
  adminPort: 'SALLYPORT_ADMIN_PORT',
  bundleDirectory: 'SALLYPORT_BUNDLE_DIR',
  labelsFile: 'SALLYPORT_LABELS_FILE',
  stateDirectory: 'SALLYPORT_STATE_DIR',
  /** JSON: {@link AppProbes}; absent: no probe was rewritten. */
  appProbes: 'SALLYPORT_APP_PROBES',
  logLevel: 'SALLYPORT_LOG_LEVEL',
  /** `json` or `text`. */
  logFormat: 'SALLYPORT_LOG_FORMAT',
  /** `on` or `off`. */
  accessLog: 'SALLYPORT_ACCESS_LOG',
  accessLogSampleRate: 'SALLYPORT_ACCESS_LOG_SAMPLE_RATE',
  drainSeconds: 'SALLYPORT_DRAIN_SECONDS',
  maxConnections: 'SALLYPORT_MAX_CONNECTIONS',
  /** URL of an OpenTelemetry collector; absent: no traces. With the names of the OpenTelemetry specification, as the next two. */
  otlpEndpoint: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  /** One of {@link TRACES_SAMPLERS}. */
  tracesSampler: 'OTEL_TRACES_SAMPLER',
  tracesSamplerArg: 'OTEL_TRACES_SAMPLER_ARG',
  /** Port on 127.0.0.1 for profiles of the agent; absent: none. */
  profilingPort: 'SALLYPORT_PROFILING_PORT',
  /** `on` or `off`. */
  acceptHttp10: 'SALLYPORT_ACCEPT_HTTP10',
  /** `on` or `off`. */
  reevaluateStreams: 'SALLYPORT_REEVALUATE_STREAMS',
  /** Version of the injected containers, see {@link RENDERING}; the agent does not read it. */
  rendering: 'SALLYPORT_RENDERING',
  /** JSON: the cluster and its public root keys, see `parseTrustAnchor`; absent: bundles need no signature. */
  trustAnchor: 'SALLYPORT_TRUST_ANCHOR',
  /** Number of the workload's bundle at injection; older ones are refused. */
  bundleFloor: 'SALLYPORT_BUNDLE_FLOOR',
  /** How the agent gets bundles: {@link BUNDLE_LEVEL}; absent: the unsigned ConfigMap of earlier versions. Read by the controller. */
  bundleLevel: 'SALLYPORT_BUNDLE_LEVEL',
  /** JSON: {@link InjectedFeed}; absent: bundles come through the volume only. */
  feed: 'SALLYPORT_FEED',
  /** JSON: {@link InjectedTls}; absent: the agent does not terminate TLS. */
  tls: 'SALLYPORT_TLS',
} as const;

/** The samplers of the OpenTelemetry specification; those by ratio take a share of the traces that begin at the agent. */
export const TRACES_SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** One of {@link TRACES_SAMPLERS}. */
export type TracesSampler = (typeof TRACES_SAMPLERS)[number];

/** An http or https URL without credentials, query and fragment. The port may be too large. */
export const TRACES_ENDPOINT: RegExp = /^https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~/-]*)?$/;

/** Can an agent send traces there? */
export function isTracesEndpoint(text: string): boolean {
  return TRACES_ENDPOINT.test(text) && URL.canParse(text);
}

/** Which traces injected agents export, and where to. */
export interface InjectedTraces {
  /** See {@link isTracesEndpoint}. */
  readonly endpoint: string;
  /** Absent: `parentbased_always_on`. */
  readonly sampler?: TracesSampler;
  /** 0 to 1; absent: 1. */
  readonly samplerArg?: number;
}

/** A name of a file with a certificate or key, as the keys of Secrets. */
export const TLS_FILE_NAME: RegExp = /^\.{0,2}[\w-][\w.-]{0,250}$/;

/** How an agent terminates TLS. */
export interface InjectedTls {
  readonly mode: Exclude<(typeof TLS_MODES)[number], 'off'>;
  /** Trust domains without `spiffe://`; clients need a SPIFFE ID of one of them. Not empty. */
  readonly trustDomains: readonly string[];
  /** Absent: {@link TLS_DIRECTORY}. */
  readonly directory?: string;
  /** File names; absent: {@link TLS_FILES}. */
  readonly certificate?: string;
  readonly key?: string;
  readonly trustBundle?: string;
}

/** Where an agent finds the feed of the controller. */
export interface InjectedFeed {
  /** Host and port. */
  readonly address: string;
  /** Certificates of the trusted authorities in PEM. */
  readonly authorities: string;
  /** Name in the controller's certificate; absent: the host of `address`. */
  readonly serverName?: string;
  /** File with the ServiceAccount token; absent: that in {@link FEED_DIRECTORY}. */
  readonly tokenFile?: string;
}

/** Level of an agent that reads signed bundles from slots. */
export const BUNDLE_LEVEL = 2;

/**
 * What an application speaks on a port. http1, http2: requests of either version are forwarded in this one; client: in that of the client, which Istio
 * does where nothing says what a port speaks, and the first bytes of a connection say whether it is HTTP; tcp: an opaque stream.
 */
export type AppProtocol = (typeof APP_PROTOCOLS)[number];

/** Every {@link AppProtocol}. */
export const APP_PROTOCOLS = ['http1', 'http2', 'tcp', 'client'] as const;

/** Last part of the names of lifecycle hooks, as in Istio. */
export const APP_HOOKS = { postStart: 'poststartz', preStop: 'prestopz' } as const;

/** The original probes and HTTP hooks of the application, by `<container>/<livez|readyz|startupz|poststartz|prestopz>`. */
export type AppProbes = Readonly<Record<string, AppProbe>>;

/** A probe with one of three handlers, in Kubernetes' form but with numeric ports. `exec` probes are not rewritten. */
export interface AppProbe {
  readonly httpGet?: {
    /** Absent: `/`. */
    readonly path?: string;
    readonly port: number;
    /** Absent: `HTTP`. */
    readonly scheme?: 'HTTP' | 'HTTPS';
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number };
  /** `service` absent or empty: the server as a whole. */
  readonly grpc?: { readonly port: number; readonly service?: string };
  /** Absent: 1 for a probe, an hour for a hook. */
  readonly timeoutSeconds?: number;
}

/** Value of the agent annotation in JSON: what injection added, for people. The controller reads the spec instead. */
export interface InjectionStatus {
  /** Version of Sallyport that injected the agent. */
  readonly version: string;
  readonly workload: string;
  /** Its kind in lower case. */
  readonly kind: string;
  /** Name of the bundle's ConfigMap. */
  readonly bundle: string;
  /** Known ports whose connections go through the agent: the declared ones, and those that annotations name. */
  readonly ports: readonly number[];
  /** Container ports that an annotation excludes from capture. */
  readonly excludedPorts: readonly number[];
  /** What annotations asked for and the operator does not allow, one sentence each; absent: nothing. The controller records an event. */
  readonly clamped?: readonly string[];
  /** What the injection warned of, one sentence each; absent: nothing. The controller records an event. */
  readonly warnings?: readonly string[];
}
