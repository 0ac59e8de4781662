/*
 * Settings of injected agents that the controller's configuration, the chart's values and the injection have in common.
 */
import type { TLS_MODES } from './agent-contract.ts';

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

/** How agents terminate TLS. */
export interface TlsSettings {
  readonly mode: (typeof TLS_MODES)[number];
  /** Source of the volume with the files, in Kubernetes' form, e.g. `{ secret: { secretName: 'a' } }`; absent: `podVolume`. */
  readonly volume?: Readonly<Record<string, unknown>>;
  /** Volume of the pod with the files. */
  readonly podVolume?: string;
  /** File names; absent: `TLS_FILES`. */
  readonly certificate?: string;
  readonly key?: string;
  readonly trustBundle?: string;
}

/** What the annotations of a pod may change. A value beyond a bound is clamped, and an event on the pod says so. */
export interface AnnotationBounds {
  /** Whether an annotation may switch off the records of denied requests; absent: false. */
  readonly accessLogOff?: boolean;
  /** `exceptRootPolicies`: no port of a pod that a policy of the root namespace selects; absent: the same. */
  readonly excludePorts?: 'all' | 'exceptRootPolicies';
  /** Absent: the value of the installation. */
  readonly maxConnections?: number;
  /** Absent: the value of the installation. */
  readonly drainSeconds?: number;
  /** Largest CPU request and limit of each container; absent: the limit of the installation, and unlimited without one. */
  readonly cpuLimit?: string;
  /** The same for memory. */
  readonly memoryLimit?: string;
}
