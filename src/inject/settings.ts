/*
 * Settings of injected agents, from chart values (webhook) or flags (`sallyport inject`).
 */

/** Compute resources in Kubernetes' form, e.g. `{ requests: { cpu: '20m' } }`. */
export interface ResourceRequirements {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
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
  /** Log level of the agent: `debug`, `info`, `warn` or `error`; absent: the agent's default. */
  readonly logLevel?: string;
}

/** Default resources. Without a CPU limit, because throttling delays every request; the CPU request determines the share under load. */
export const DEFAULT_AGENT_RESOURCES: ResourceRequirements = {
  requests: { cpu: '20m', memory: '64Mi' },
  limits: { memory: '256Mi' },
};
