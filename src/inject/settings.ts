/*
 * What an operator can choose about injected agents. In: values from the chart (webhook) or flags (`sallyport inject`).
 * Out: the settings that every injected pod of one installation shares.
 */

/** Compute resources in Kubernetes' own shape, e.g. `{ requests: { cpu: '20m' } }`. */
export interface ResourceRequirements {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

/** The same for every pod of an installation. */
export interface InjectionSettings {
  /** Image of the agent; its init container runs from the same one. */
  readonly image: string;
  /** Absent: what Kubernetes makes of the image's tag. */
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Of the product; recorded in the pod's annotation. */
  readonly version: string;
  /** Of the agent's container; absent: {@link DEFAULT_AGENT_RESOURCES}. */
  readonly resources?: ResourceRequirements;
  /** Of the agent: `debug`, `info`, `warn`, `error`; absent: the agent's own default. */
  readonly logLevel?: string;
}

/** No CPU limit: throttling a proxy hurts every request behind it, while its share under pressure is settled by the request. */
export const DEFAULT_AGENT_RESOURCES: ResourceRequirements = {
  requests: { cpu: '20m', memory: '64Mi' },
  limits: { memory: '256Mi' },
};
