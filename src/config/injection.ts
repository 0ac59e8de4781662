/*
 * The settings of injected agents, as the webhook and `sallyport inject` take them.
 */
import type { ControllerConfig } from './controller.ts';

type Webhook = ControllerConfig['webhook'];

/** The settings of injected agents besides image and version. */
export type InjectionConfig = Present<{
  readonly imagePullPolicy: Webhook['agentImagePullPolicy'];
  readonly logLevel: Webhook['agentLogLevel'];
  readonly resources: Webhook['agentResources'];
  readonly initResources: Webhook['initResources'];
  readonly accessLog: Webhook['agentAccessLog'];
  readonly accessLogSampleRate: Webhook['agentAccessLogSampleRate'];
  readonly drainSeconds: Webhook['agentDrainSeconds'];
  readonly maxConnections: Webhook['agentMaxConnections'];
  readonly startupProbe: Webhook['agentStartupProbe'];
  readonly readinessProbe: Webhook['agentReadinessProbe'];
  readonly bounds: Webhook['annotationBounds'];
}>;

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** The settings of injected agents in the configuration; what it does not set is absent. */
export function injectionConfigOf(webhook: Webhook): InjectionConfig {
  const settings = {
    imagePullPolicy: webhook.agentImagePullPolicy,
    logLevel: webhook.agentLogLevel,
    resources: webhook.agentResources,
    initResources: webhook.initResources,
    accessLog: webhook.agentAccessLog,
    accessLogSampleRate: webhook.agentAccessLogSampleRate,
    drainSeconds: webhook.agentDrainSeconds,
    maxConnections: webhook.agentMaxConnections,
    startupProbe: webhook.agentStartupProbe,
    readinessProbe: webhook.agentReadinessProbe,
    bounds: webhook.annotationBounds,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as InjectionConfig;
}
