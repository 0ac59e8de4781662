/*
 * Settings of injected agents, from chart values (webhook) or flags (`sallyport inject`).
 */
import type { CaptureMode, InjectedFeed, InjectedTraces } from '../api/kube/agent-contract.ts';
import type { AnnotationBounds, ProbeTiming, ResourceRequirements, TlsSettings } from '../api/kube/agent-settings.ts';

/** What an injected agent trusts. */
export interface InjectedTrust {
  /** See `parseTrustAnchor`. */
  readonly anchor: string;
  /** Number of the workload's bundle now; 0: not known. */
  readonly floor: number;
}

/** Settings of all injected agents of an installation. */
export interface InjectionSettings {
  /** Image of the agent. */
  readonly image: string;
  /** Who redirects the connections of a pod; absent: `pod`. */
  readonly captureMode?: CaptureMode;
  /** Image of the init container; absent: `initImageOf` the agent's. */
  readonly initImage?: string;
  /** Absent: Kubernetes' default for the image's tag. */
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Version of Sallyport, recorded in the pod's annotation. */
  readonly version: string;
  readonly trust: InjectedTrust;
  /** Absent: agents get bundles through the volume only. */
  readonly feed?: InjectedFeed;
  /** Resources of the agent's container; absent: {@link DEFAULT_AGENT_RESOURCES}. */
  readonly resources?: ResourceRequirements;
  /** Resources of the init container; absent: {@link DEFAULT_INIT_RESOURCES}. */
  readonly initResources?: ResourceRequirements;
  /** Log level of the agent; absent: the agent's default. */
  readonly logLevel?: string;
  /** `json` or `text`; absent: the agent's default. */
  readonly logFormat?: string;
  /** Absent: no traces. */
  readonly traces?: InjectedTraces;
  /** Whether the agent writes one line for each request; absent: `on`. */
  readonly accessLog?: 'on' | 'off';
  /** Share of allowed requests that are logged, 0 to 1; absent: 1. */
  readonly accessLogSampleRate?: number;
  /** `on` or `off`: serve clients that speak HTTP/1.0. */
  readonly acceptHttp10?: string;
  /** `on` or `off`: evaluate open streams again. */
  readonly reevaluateStreams?: string;
  /** Port on 127.0.0.1 for profiles; absent: none. Set by an annotation only. */
  readonly profilingPort?: number;
  /** What the application speaks, one of `APP_PROTOCOLS`; absent: by the names of its ports. Read where ports are captured. */
  readonly appProtocol?: string;
  /** Seconds that open requests have to finish; absent: the agent's default. */
  readonly drainSeconds?: number;
  /** Maximum number of client connections; absent: the agent's default. */
  readonly maxConnections?: number;
  /** Absent: TLS passes through. */
  readonly tls?: TlsSettings;
  /** Trust domain of the mesh and its aliases: clients of TLS need an identity of one of them. Absent: `cluster.local`. */
  readonly trustDomains?: readonly string[];
  readonly startupProbe?: ProbeTiming;
  readonly readinessProbe?: ProbeTiming;
  /** What happens to a pod whose containers could bypass its agent; absent: `report`. */
  readonly privilegedContainers?: 'refuse' | 'report';
  /** What happens to a pod with Istio's data plane; absent: `refuse`. */
  readonly istioPods?: 'refuse' | 'inject' | 'skip';
  /** Absent: every bound has its default. */
  readonly bounds?: AnnotationBounds;
}

/** Default resources. Without a CPU limit, because throttling delays every request; the CPU request determines the share under load. */
export const DEFAULT_AGENT_RESOURCES: ResourceRequirements = {
  requests: { cpu: '20m', memory: '64Mi' },
  limits: { memory: '256Mi' },
};

/** Default resources of the init container, which runs for a moment. */
export const DEFAULT_INIT_RESOURCES: ResourceRequirements = {
  requests: { cpu: '10m', memory: '32Mi' },
  limits: { memory: '128Mi' },
};
