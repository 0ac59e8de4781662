/*
 * Assembles one agent: bundles, listeners, access log, metrics and admin port. Several agents may run in one process.
 */
import { type Clock, systemClock } from '../clock.ts';
import { createFilterChainInSteps } from '../filters/filter-chain.ts';
import { hasPeerConditions } from '../filters/peer-conditions.ts';
import { HttpDate } from '../http/http-date.ts';
import { kidHash } from '../jwt/kid-hash.ts';
import { TokenCache } from '../jwt/token-cache.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { startInterval } from '../limits/timers.ts';
import { type AgentMetrics, createAgentMetrics } from '../telemetry/agent-metrics.ts';
import { lineWriterOf } from '../telemetry/line-writer.ts';
import type { AgentOptions } from './agent-options.ts';
import { ActivePolicyHolder } from './bundles/active-policy.ts';
import { Bundles } from './bundles/bundles.ts';
import { DEFAULT_LIMITS } from './context.ts';
import { descriptorLimit, type FittedLimits, fitToDescriptors, isTooFew } from './descriptors.ts';
import { EvaluationQueue } from './exchange/evaluation-queue.ts';
import type { ExchangeObserver } from './exchange/exchange-record.ts';
import { ReevaluatedStreams, type ReevaluationOptions } from './exchange/live-streams.ts';
import { createExtAuthzClient } from './ext-authz/client.ts';
import type { ListenerContext } from './listener/listener.ts';
import { AccessLog } from './log/access-log.ts';
import { LimitLog } from './log/limit-log.ts';
import { nameMisses } from './log/name-misses.ts';
import { observeConnections } from './log/observe-connections.ts';
import { observeExchanges } from './log/observe-exchanges.ts';
import { observeTls } from './log/observe-tls.ts';
import { interfaceNames } from './net/interface-names.ts';
import { newRequestId } from './request-ids.ts';
import { type Servers, startServers } from './servers.ts';
import { TlsCertificates } from './tls/certificates.ts';
import type { TlsObserver } from './tls/tls-observer.ts';
import type { TlsTermination } from './tls/tls-termination.ts';
import type { Traces } from './traces/traces.ts';

/** An agent that serves. */
export interface RunningAgent {
  /** Listen ports, in the order of `AgentOptions.ports`; `capturePort` is last. */
  readonly ports: readonly number[];
  /** Undefined: the agent has no admin port. */
  readonly adminPort: number | undefined;
  readonly metrics: AgentMetrics;
  /** Digest of the active bundle; undefined: none yet. */
  digest(): string | undefined;
  /** Resolves when a policy is active. @throws the signal's reason when it aborts first */
  ready(signal?: AbortSignal): Promise<void>;
  /** Stops accepting connections, lets exchanges finish for `drainMs`, then resolves. */
  stop(): Promise<void>;
}

/** Termination of TLS with the files of the options. */
type OpenTls = TlsTermination & { readonly certificates: TlsCertificates };

/** Shared by the agents of the process. */
const TOKENS = new TokenCache();

/**
 * Starts an agent. When this resolves it listens; until a policy is active every request gets 503.
 * @param signal aborting it stops the agent
 * @throws the system's error when a port is in use
 */
export async function startAgent(options: AgentOptions, signal: AbortSignal): Promise<RunningAgent> {
  const clock = options.clock ?? systemClock;
  const holder = new ActivePolicyHolder();
  const evaluations = new EvaluationQueue(clock);
  const metrics = createMetrics(options, clock, { evaluations, identities: () => bundles.identities });
  const accessLog = openAccessLog(options, clock);
  const traces = await openTraces(options, metrics, clock);
  const { limits, maxAdminConnections } = fittedLimits(options);
  const liveStreams = createLiveStreams(options, { clock, evaluations, activePolicy: () => holder.current }, limits.maxConnections);
  const bundles: Bundles = createBundles(options, { holder, metrics, clock, liveStreams });
  await bundles.begin();
  const stopFollowing = new AbortController();
  const tls = await openTls(options, clock, observeTls(metrics, accessLog));
  const context: ListenerContext = {
    activePolicy: () => holder.current,
    replyWithoutPolicy: () => holder.reply,
    limits,
    acceptHttp10: options.acceptHttp10 ?? false,
    appProtocolOf: (port) => options.appProtocols?.get(port) ?? options.appProtocols?.get(0) ?? 'client',
    clock,
    date: new HttpDate(clock),
    ...withTraces(observeExchanges(metrics, accessLog, clock), traces),
    connections: metrics,
    tcpObserver: observeConnections(metrics, accessLog),
    extAuthz: options.extAuthz ?? createExtAuthzClient({ logger: options.logger, clock, signal: stopFollowing.signal }),
    evaluations,
    liveStreams,
    newRequestId,
    ...(tls !== undefined && { tls }),
  };
  const notReady = (): string | undefined => tls?.certificates.problem;
  const servers = await startServers({ options, holder, bundles, metrics, context, notReady, maxAdminConnections });
  const following = Promise.all([bundles.follow(stopFollowing.signal), tls?.certificates.follow(stopFollowing.signal)]);
  const stopSweeping = startSweeping({ servers, liveStreams }, options.logger, clock);
  const stopAll = async (): Promise<void> => {
    const stopMs = clock.nowMs();
    await servers.stop(options.drainMs);
    await traces?.stop(Math.max(LIMITS.spanFlushTime.value, options.drainMs - (clock.nowMs() - stopMs)));
    stopFollowing.abort();
    await following;
    stopSweeping();
    await accessLog?.close();
    holder.current?.filterChain.release();
    options.logger.info('agent stopped');
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= stopAll());
  if (signal.aborted) await stop();
  else signal.addEventListener('abort', () => void stop(), { once: true });
  options.logger.info({ ports: servers.ports, adminPort: servers.adminPort, ready: holder.current !== undefined }, 'agent listens');
  return {
    ports: servers.ports,
    adminPort: servers.adminPort,
    metrics,
    digest: () => holder.current?.digest,
    ready: (readySignal) => holder.first(readySignal),
    stop,
  };
}

function withTraces(observer: ExchangeObserver, traces: Traces | undefined): Pick<ListenerContext, 'observer' | 'tracer'> {
  return traces === undefined ? { observer } : { observer: traces.observe(observer), tracer: traces };
}

function startSweeping(
  { servers, liveStreams }: { readonly servers: Servers; readonly liveStreams: ReevaluatedStreams | undefined },
  logger: AgentOptions['logger'],
  clock: Clock,
): () => void {
  const limitLog = new LimitLog(logger, clock);
  return startInterval(LIMITS.connectionSweep, () => {
    servers.sweep(clock.nowMs());
    liveStreams?.sweep();
    limitLog.check();
  });
}

/** The limits of the options, lowered where the process may open too few file descriptors for them. */
function fittedLimits({ limits: wanted, ports, capturePort, logger }: AgentOptions): FittedLimits {
  const limits = { ...DEFAULT_LIMITS, ...wanted };
  const descriptors = descriptorLimit();
  const fitted = fitToDescriptors(limits, ports.length + (capturePort === undefined ? 0 : 1), descriptors);
  const { maxConnections } = fitted.limits;
  if (isTooFew(maxConnections, wanted?.maxConnections))
    logger.warn({ descriptors, maxConnections, wanted: limits.maxConnections }, 'fewer client connections: too few file descriptors');
  return fitted;
}

function openAccessLog(options: AgentOptions, clock: Clock): AccessLog | undefined {
  if (options.accessLog === undefined) return undefined;
  const { fd, allowSampleRate } = options.accessLog;
  return new AccessLog({ writer: lineWriterOf(fd), allowSampleRate, clock, random: Math.random });
}

async function openTraces(options: AgentOptions, metrics: AgentMetrics, clock: Clock): Promise<Traces | undefined> {
  if (options.traces === undefined) return undefined;
  const loaded = await import('./traces/traces.ts');
  const { logger } = options;
  return new loaded.Traces(options.traces, {
    clock,
    logger,
    limits: LIMITS,
    random: Math.random,
    onSpans: (result, count) => metrics.onSpans(result, count),
  });
}

function createMetrics(
  { processMetrics, feed }: AgentOptions,
  clock: Clock,
  { evaluations, identities }: { readonly evaluations: EvaluationQueue; readonly identities: () => Bundles['identities'] },
): AgentMetrics {
  return createAgentMetrics(() => clock.wallMs() / 1000, processMetrics, {
    cachedBytes: () => TOKENS.bytes,
    cachedTokens: () => TOKENS.size,
    evictedTokens: () => TOKENS.evictions,
    waitingRequests: () => evaluations.length,
    ...(feed === undefined ? {} : { identities }),
  });
}

/** Undefined: TLS is not terminated. */
async function openTls({ tls, logger }: AgentOptions, clock: Clock, observer: TlsObserver): Promise<OpenTls | undefined> {
  if (tls === undefined) return undefined;
  const certificates = new TlsCertificates({ files: tls.files, clock, logger, observer });
  await certificates.begin();
  return { mode: tls.mode, trustDomains: tls.trustDomains, certificates, observer };
}

/** Undefined: streams are not evaluated again. @param connections most client connections */
function createLiveStreams(
  { reevaluateStreams }: AgentOptions,
  parts: Omit<ReevaluationOptions, 'max'>,
  connections: number,
): ReevaluatedStreams | undefined {
  return reevaluateStreams === true ? new ReevaluatedStreams({ ...parts, max: connections + LIMITS.streams.value }) : undefined;
}

interface BundleParts {
  readonly holder: ActivePolicyHolder;
  readonly metrics: AgentMetrics;
  readonly clock: Clock;
  readonly liveStreams: ReevaluatedStreams | undefined;
}

function createBundles(options: AgentOptions, { holder, metrics, clock, liveStreams }: BundleParts): Bundles {
  const nameMiss = options.accessLog === undefined ? undefined : nameMisses(clock);
  const bundles: Bundles = new Bundles(options, {
    logger: options.logger,
    needsIdentities: (program) => options.feed !== undefined && hasPeerConditions(program),
    createFilterChain: (program, keySets, identifies) =>
      createFilterChainInSteps(program, keySets, {
        ...(identifies && { podIdentity: (connection) => bundles.identityOf(connection) }),
        interfaces: interfaceNames(),
        tokenCache: TOKENS,
        deferVerification: true,
        reportExpiry: liveStreams !== undefined,
        ...(nameMiss !== undefined && { nameMiss }),
        onVerification: () => metrics.onVerification(),
        ...(options.feed !== undefined && { onUnknownKey: (keySet, kid) => bundles.onUnknownKey(keySet, () => hashOf(kid())) }),
        onBug: (error) => options.logger.error({ err: error }, 'bug in the filter chain, request denied'),
      }),
    onActive: (policy) => {
      const replaced = holder.current;
      holder.set(policy);
      replaced?.filterChain.release();
      liveStreams?.onPolicyChange();
      metrics.onBundle(policy.digest, clock.wallMs() / 1000);
    },
    onUnmatched: () => {
      const replaced = holder.current;
      holder.withhold();
      replaced?.filterChain.release();
      liveStreams?.onPolicyChange();
    },
    onRejected: (code) => metrics.onBundleRefused(code),
  });
  return bundles;
}

/** The hash of a `kid`; `''` stays `''`. */
function hashOf(kid: string): string {
  return kid === '' ? '' : kidHash(kid);
}
