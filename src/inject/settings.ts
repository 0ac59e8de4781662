/*
 * Settings of injected agents, from chart values (webhook) or flags (`sallyport inject`).
 */

/** Compute resources in Kubernetes' form, e.g. `{ requests: { cpu: '20m' } }`. */
export interface ResourceRequirements {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

/** Timing of a probe; an absent field has the default of the agent's container. */
export interface ProbeTiming {
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

/** What the annotations of a pod may change. A value beyond a bound is clamped, and an event on the pod says so. */
export interface AnnotationBounds {
  /** Whether an annotation may switch off the records of denied requests; absent: false. */
  readonly accessLogOff?: boolean;
  /** `exceptRootPolicies`: no port of a pod that a policy of the root namespace selects; absent: the same. */
  readonly excludePorts?: 'all' | 'exceptRootPolicies';
  /** Absent: {@link InjectionSettings.maxConnections}. */
  readonly maxConnections?: number;
  /** Absent: {@link InjectionSettings.drainSeconds}. */
  readonly drainSeconds?: number;
  /** Largest CPU request and limit of each container; absent: the limit in the settings, and unlimited without one. */
  readonly cpuLimit?: string;
  /** The same for memory. */
  readonly memoryLimit?: string;
}

/** Settings of all injected agents of an installation. */
export interface InjectionSettings {
  /** Image of the agent and of its init container. */
  readonly image: string;
  /** Absent: Kubernetes' default for the image's tag. */
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Version of Sallyport, recorded in the pod's annotation. */
  readonly version: string;
  /** Resources of the agent's container; absent: {@link DEFAULT_AGENT_RESOURCES}. */
  readonly resources?: ResourceRequirements;
  /** Resources of the init container; absent: {@link DEFAULT_INIT_RESOURCES}. */
  readonly initResources?: ResourceRequirements;
  /** Log level of the agent; absent: the agent's default. */
  readonly logLevel?: string;
  /** Whether the agent writes one line for each request; absent: `on`. */
  readonly accessLog?: 'on' | 'off';
  /** Share of allowed requests that are logged, 0 to 1; absent: 1. */
  readonly accessLogSampleRate?: number;
  /** Seconds that open requests have to finish; absent: the agent's default. */
  readonly drainSeconds?: number;
  /** Maximum number of client connections; absent: the agent's default. */
  readonly maxConnections?: number;
  readonly startupProbe?: ProbeTiming;
  readonly readinessProbe?: ProbeTiming;
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
