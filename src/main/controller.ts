/*
 * Entry point of the controller, which runs until SIGTERM or SIGINT. Exit code 78: the configuration is invalid; 1: any
 * other failure. Wiring only.
 */
import { randomUUID } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import packageJson from '../../package.json' with { type: 'json' };
import { systemClock } from '../clock.ts';
import { createKubeClient, type KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { readObject } from '../cluster/objects.ts';
import { CONFIG_MAPS } from '../cluster/paths.ts';
import type { Recorder } from '../cluster/recorder.ts';
import { type ControllerConfig, configFileOf, loadControllerConfig, namespacesToWatch } from '../config/controller.ts';
import { type FollowOptions, followConfig } from '../config/follow-config.ts';
import { agentRulesOf, injectionConfigOf } from '../config/injection.ts';
import { requireAddresses } from '../config/pod-identity.ts';
import { createReloadReports } from '../config/reload-reports.ts';
import { type ConfigEvents, createConfigEvents } from '../controller/config-events.ts';
import { createKeyServers, type KeyServers } from '../controller/key-servers.ts';
import { createManager } from '../controller/manager.ts';
import { RefusedError } from '../errors.ts';
import { readFetchLimits } from '../jwks/fetch-limits.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { startOpsServer } from '../ops-server/ops-server.ts';
import { readRegularFile } from '../regular-file.ts';
import { createAgentReports } from '../status/agent-reports.ts';
import { type ControllerMetrics, createControllerMetrics } from '../telemetry/controller-metrics.ts';
import { createLogger, exitOnUncaught, type Logger } from '../telemetry/logger.ts';
import { createWebhookMetrics } from '../telemetry/webhook-metrics.ts';
import type { AdmissionSettings } from '../webhook/admission-messages.ts';
import { ADMISSION_MEMORY } from '../webhook/admission-thread.ts';
import { startWebhook, type WebhookOptions } from '../webhook/start-webhook.ts';
import { type OpenFeed, openFeed } from './open-feed.ts';
import { openTraces } from './open-traces.ts';
import { runProcess } from './run-process.ts';
import { serveProfiles } from './serve-profiles.ts';

/** API servers may still send reviews for a moment after the pod got SIGTERM. */
const WEBHOOK_DRAIN_MS = 3_000;

async function main(signal: AbortSignal): Promise<void> {
  const input = { args: process.argv.slice(2), env: process.env };
  const file = configFileOf(input);
  const readConfig = async (): Promise<ControllerConfig> =>
    requireAddresses(loadControllerConfig({ ...input, ...(file === undefined ? {} : { fileText: await readConfigFile(file) }) }));
  const config = await readConfig();
  let log = (): Pick<ControllerConfig, 'logLevel' | 'logFormat'> => config;
  const logger = createLogger({ level: () => log().logLevel, format: () => log().logFormat, component: 'controller' });
  exitOnUncaught(logger);
  const metrics = createControllerMetrics({ version: packageJson.version, lease: config.leaderElection.name });
  const client = connect(config, metrics);
  const reloads = new Set<NonNullable<FollowOptions['onReload']>>([metrics.onConfigReload]);
  const reports = createReloadReports((result, reload) => {
    for (const onReload of reloads) onReload(result, reload);
  });
  const follower = followConfig({
    first: config,
    read: file === undefined ? undefined : readConfig,
    logger,
    onReload: reports.onReload,
  });
  log = follower.log;
  try {
    const keyServers = createKeyServers({
      client,
      namespace: config.namespace,
      source: follower.keyServers,
      clock: systemClock,
      random: Math.random,
      logger,
      onProblems: reports.onProblems,
    });
    await serve({ config, logger, metrics, client, mesh: follower.mesh, keyServers, reloads }, signal);
  } finally {
    follower.stop();
    await client.close();
  }
}

interface Running {
  readonly config: ControllerConfig;
  readonly logger: Logger;
  readonly metrics: ControllerMetrics;
  readonly client: KubeClient;
  readonly mesh: ReturnType<typeof followConfig>['mesh'];
}

interface Serving extends Running {
  readonly keyServers: KeyServers;
  /** Called with each reload of the configuration. */
  readonly reloads: Set<NonNullable<FollowOptions['onReload']>>;
}

async function serve({ config, logger, metrics, client, mesh, keyServers, reloads }: Serving, signal: AbortSignal): Promise<void> {
  const identity = `${config.identity}_${randomUUID().slice(0, 8)}`;
  const agents = config.feed.enabled ? createAgentReports(systemClock) : undefined;
  const watchNamespaces = namespacesToWatch(config);
  const traces = await openTraces(config, { logger, metrics, identity });
  const manager = createManager({
    client,
    mesh,
    metrics,
    logger,
    tracer: traces,
    instance: config.identity,
    namespace: config.namespace,
    ...(watchNamespaces === undefined ? {} : { watchNamespaces }),
    workers: config.workers,
    resyncMs: config.resyncMs,
    touchBatchSize: config.touch.batchSize,
    reports: config.reports.enabled,
    jwks: {
      refreshMs: config.jwks.refreshMs,
      limits: { ...(await readFetchLimits(config.jwks)), serverOf: keyServers.serverOf },
      servers: keyServers,
    },
    agentRules: agentRulesOf(config.webhook),
    ...(agents === undefined ? {} : { agents }),
    ...(config.leaderElection.enabled ? { lease: { namespace: config.namespace, name: config.leaderElection.name, identity } } : {}),
  });
  const configEvents = eventsOfConfig(config, client, manager.record);
  if (configEvents !== undefined) reloads.add(configEvents.onReload);
  const feed = agents === undefined ? undefined : await openFeed({ config, logger, metrics, client, mesh, agents }, manager.feed);
  const webhook = config.webhook.enabled
    ? await openWebhook({ config, logger, metrics, client, mesh, ...manager, isLeader: manager.isLeading, feed, tracer: traces })
    : undefined;
  const health = await startOpsServer({
    ...config.http,
    live: { ping: () => undefined },
    ready: {
      ...manager.checks,
      ...(webhook === undefined ? {} : { webhook: webhook.check }),
      shutdown: () => (signal.aborted ? 'stopping' : undefined),
    },
    metricsText: metrics.text,
    logger,
  });
  const profiles = await serveProfiles(config.profilingPort, { logger: logger.child({ part: 'profiles' }), onProfile: metrics.onProfile });
  logger.info({ version: packageJson.version, port: health.port, identity }, 'controller started');
  try {
    const drained = drainOf(signal);
    await manager.run(signal);
    if (webhook !== undefined && signal.aborted) await drained;
  } finally {
    configEvents?.stop();
    await feed?.stop();
    await webhook?.stop();
    await profiles?.close();
    await traces?.stop(LIMITS.spanFlushTime.value);
    await health.close();
  }
}

/** Resolves when API servers have had time to learn that this replica stops. */
function drainOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => setTimeout(resolve, WEBHOOK_DRAIN_MS).unref(), { once: true }));
}

function eventsOfConfig(
  { namespace, configMap: name }: ControllerConfig,
  client: KubeClient,
  record: Recorder['record'],
): ConfigEvents | undefined {
  if (name === undefined) return undefined;
  const read = (): Promise<RawObject | undefined> => readObject(client, { resource: CONFIG_MAPS, namespace, name });
  return createConfigEvents({
    regarding: { apiVersion: 'v1', kind: 'ConfigMap', namespace, name },
    uidOf: () =>
      read().then(
        (found) => found?.metadata?.uid,
        () => undefined,
      ),
    recorder: { record },
  });
}

interface WebhookParts extends Running {
  readonly feed: OpenFeed | undefined;
  readonly tracer: WebhookOptions['tracer'];
  readonly isLeader: () => boolean;
  readonly portsFor: WebhookOptions['portsFor'];
  readonly whyOverBudget: WebhookOptions['whyOverBudget'];
  readonly editedPods: NonNullable<WebhookOptions['editedPods']>;
  readonly facts: WebhookOptions['facts'];
}

function openWebhook({
  config,
  logger,
  metrics,
  client,
  isLeader,
  portsFor,
  whyOverBudget,
  editedPods,
  facts,
  feed,
  tracer,
}: WebhookParts): ReturnType<typeof startWebhook> {
  const { host, port, service, tlsMinVersion, certificateDirectory } = config.webhook;
  const options: WebhookOptions = {
    client,
    host,
    port,
    service,
    tlsMinVersion,
    ...(certificateDirectory === undefined ? {} : { certificateDirectory }),
    logger,
    tracer,
    isLeader,
    portsFor,
    whyOverBudget,
    namespace: config.namespace,
    injection: { ...injectionConfigOf(config.webhook), image: config.webhook.agentImage, version: packageJson.version },
    ...(config.webhook.newAccessWarnings ? { editedPods } : {}),
    startWorker: startAdmissionWorker,
    facts,
    ...(feed === undefined ? {} : { feed: feed.injected, onCertificate: feed.serve }),
    metrics: createWebhookMetrics(metrics.registry),
  };
  // Stopped by `stop`, after everything else.
  return startWebhook(options, new AbortController().signal);
}

/** The build puts the worker next to the controller's file. */
function startAdmissionWorker(workerData: AdmissionSettings): Worker {
  const isBuilt = !import.meta.url.endsWith('.ts');
  const file = new URL(isBuilt ? './admission-worker.mjs' : '../webhook/admission-worker.ts', import.meta.url);
  return new Worker(file, { workerData, resourceLimits: ADMISSION_MEMORY });
}

function connect(config: ControllerConfig, metrics: ControllerMetrics): KubeClient {
  let host = '';
  const client = createKubeClient({
    ...config.kubernetes,
    version: packageJson.version,
    onRequest: (sample) => metrics.onRequest({ ...sample, host }),
  });
  host = new URL(client.server).host;
  return client;
}

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readRegularFile(path, MAX_CONFIG_BYTES);
  } catch (cause) {
    throw new RefusedError('SP_CONFIG', `cannot read ${path}`, { cause });
  }
}

await runProcess(main, { component: 'controller', failure: 'controller failed', stopLimitMs: 25_000 });
