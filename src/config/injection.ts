/*
 * The settings of injected agents, as the webhook and `sallyport inject` take them.
 */
import { initImageOf } from '../api/kube/agent-image.ts';
import { type AgentRules, ANY_AGENT_IMAGE, repositoryOf } from '../api/kube/pod-agent.ts';
import type { ControllerConfig } from './controller.ts';

type Webhook = ControllerConfig['webhook'];

/** The settings of injected agents besides image and version. */
export type InjectionConfig = Present<{
  readonly captureMode: Webhook['captureMode'];
  readonly initImage: Webhook['initImage'];
  readonly imagePullPolicy: Webhook['agentImagePullPolicy'];
  readonly logLevel: Webhook['agentLogLevel'];
  readonly logFormat: Webhook['agentLogFormat'];
  readonly resources: Webhook['agentResources'];
  readonly initResources: Webhook['initResources'];
  readonly accessLog: Webhook['agentAccessLog'];
  readonly accessLogSampleRate: Webhook['agentAccessLogSampleRate'];
  readonly drainSeconds: Webhook['agentDrainSeconds'];
  readonly maxConnections: Webhook['agentMaxConnections'];
  readonly traces: Webhook['agentTraces'];
  readonly startupProbe: Webhook['agentStartupProbe'];
  readonly readinessProbe: Webhook['agentReadinessProbe'];
  readonly tls: Webhook['agentTls'];
  readonly bounds: Webhook['annotationBounds'];
  readonly privilegedContainers: Webhook['privilegedContainers'];
  readonly istioPods: Webhook['istioPods'];
}>;

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** The settings of injected agents in the configuration; what it does not set is absent. */
export function injectionConfigOf(webhook: Webhook): InjectionConfig {
  const settings = {
    captureMode: webhook.captureMode,
    initImage: webhook.initImage,
    imagePullPolicy: webhook.agentImagePullPolicy,
    logLevel: webhook.agentLogLevel,
    logFormat: webhook.agentLogFormat,
    resources: webhook.agentResources,
    initResources: webhook.initResources,
    accessLog: webhook.agentAccessLog,
    accessLogSampleRate: webhook.agentAccessLogSampleRate,
    drainSeconds: webhook.agentDrainSeconds,
    maxConnections: webhook.agentMaxConnections,
    traces: webhook.agentTraces,
    startupProbe: webhook.agentStartupProbe,
    readinessProbe: webhook.agentReadinessProbe,
    tls: webhook.agentTls,
    bounds: webhook.annotationBounds,
    privilegedContainers: webhook.privilegedContainers,
    istioPods: webhook.istioPods,
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as InjectionConfig;
}

/** What counts as an agent: images of the repositories in the configuration, with any tag, because older pods outlive an upgrade. */
export function agentRulesOf({ agentImage, initImage = initImageOf(agentImage), agentRepositories }: Webhook): AgentRules {
  if (agentImage === '') return ANY_AGENT_IMAGE;
  const ours = [agentImage, initImage ?? agentImage].map(repositoryOf);
  return { repositories: [...new Set([...ours, ...agentRepositories])] };
}
