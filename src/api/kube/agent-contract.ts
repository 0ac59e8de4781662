/*
 * What injection and the injected agent agree on: names of containers, ports, paths and environment variables. No logic.
 * Written by src/inject into pods, read by the agent's configuration; also named in docs and the chart.
 */

/** Name of the agent's container in an injected pod (a native sidecar). */
export const AGENT_CONTAINER = 'sallyport-agent';
/** Name of the init container that redirects inbound connections to the agent. */
export const REDIRECT_CONTAINER = 'sallyport-init';

/** Port of /healthz, /readyz, /metrics and /app-health, never captured. @see Istio's agent, which uses the same one */
export const AGENT_ADMIN_PORT = 15_020;
/** Port to which connections to undeclared ports are redirected; it refuses them all. */
export const AGENT_BLOCKED_PORT = 15_099;
/** The agent listens for the first captured container port here, for the next one on the next free port. */
export const AGENT_FIRST_PORT = 15_101;
/** User and group that the agent runs as. */
export const AGENT_USER = 65_532;

/** Folder of the mounted bundle (ConfigMap volume). */
export const BUNDLE_DIRECTORY = '/etc/sallyport/bundle';
/** Folder of the downward-API volume. */
export const POD_INFO_DIRECTORY = '/etc/sallyport/pod';
/** The pod's own labels, one `key="escaped value"` per line. */
export const LABELS_FILE = '/etc/sallyport/pod/labels';
/** Writable folder for the last good bundle. */
export const STATE_DIRECTORY = '/var/lib/sallyport';

/** Path prefix on {@link AGENT_ADMIN_PORT} below which an application's own probes are answered: `<prefix><container>/<livez|readyz|startupz>`. */
export const APP_HEALTH_PREFIX = '/app-health/';

/** Environment variables of the agent's container. */
export const AGENT_ENV = {
  podIp: 'POD_IP',
  podName: 'POD_NAME',
  namespace: 'POD_NAMESPACE',
  /** Name of the workload whose bundle is enforced. */
  workload: 'SALLYPORT_WORKLOAD',
  /** Comma-separated `<listen port>:<container port>`; empty: nothing is captured. */
  ports: 'SALLYPORT_PORTS',
  blockedPort: 'SALLYPORT_BLOCKED_PORT',
  adminPort: 'SALLYPORT_ADMIN_PORT',
  bundleDirectory: 'SALLYPORT_BUNDLE_DIR',
  labelsFile: 'SALLYPORT_LABELS_FILE',
  stateDirectory: 'SALLYPORT_STATE_DIR',
  /** JSON: {@link AppProbes}; absent: no probe was rewritten. */
  appProbes: 'SALLYPORT_APP_PROBES',
  logLevel: 'SALLYPORT_LOG_LEVEL',
} as const;

/** The probes of a pod's application before they were rewritten, by `<container>/<livez|readyz|startupz>`. */
export type AppProbes = Readonly<Record<string, AppProbe>>;

/** One of the three handlers, as Kubernetes spells them but with numeric ports; `exec` stays with the kubelet. */
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
  /** Absent or empty service: the server as a whole. */
  readonly grpc?: { readonly port: number; readonly service?: string };
  /** Absent: 1. */
  readonly timeoutSeconds?: number;
}

/** Value of the agent annotation, as JSON: what was injected. */
export interface InjectionStatus {
  /** Of the product that injected. */
  readonly version: string;
  readonly workload: string;
  /** Name of the bundle's ConfigMap. */
  readonly bundle: string;
  /** Container ports that the agent guards. */
  readonly ports: readonly number[];
  /** Container ports that are left open by annotation. */
  readonly excludedPorts: readonly number[];
}
