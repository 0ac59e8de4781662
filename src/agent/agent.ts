/*
 * One agent: intake, listeners, access log, metrics and admin port put together. In: options. Out: a running agent that
 * can be asked and stopped. Called by the agent's entry point and by `sallyport run`; several may run in one process.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../clock.ts';
import { createFilterChain } from '../filters/filter-chain.ts';
import { type AgentMetrics, createAgentMetrics } from '../telemetry/agent-metrics.ts';
import type { AgentOptions } from './agent-options.ts';
import { PolicyHolder } from './bundles/active-policy.ts';
import { Intake } from './bundles/bundles.ts';
import { DEFAULT_LIMITS, type ProxyContext } from './context.ts';
import { HttpDate } from './exchange/http-date.ts';
import { createAuthorizer } from './ext-authz/run-ext-authz.ts';
import { AccessLog } from './log/access-log.ts';
import { observeExchanges } from './log/observe-exchanges.ts';
import { startServers } from './servers.ts';

export interface RunningAgent {
  /** Listen ports, in the order of `AgentOptions.ports`. */
  readonly ports: readonly number[];
  /** Undefined: there is no admin server. */
  readonly adminPort: number | undefined;
  readonly metrics: AgentMetrics;
  /** Digest of the bundle in force; undefined: none yet. */
  digest(): string | undefined;
  /** Resolves when a policy is in force. @throws the signal's reason */
  ready(signal?: AbortSignal): Promise<void>;
  /** Accepts no more, lets exchanges end for `drainMs`, then resolves. */
  stop(): Promise<void>;
}

const SWEEP_MS = 500;

/**
 * Starts an agent: it listens when this resolves, closed (503) until a bundle is in force.
 * @param signal aborting it stops the agent
 * @throws the system's error when a port is taken
 */
export async function startAgent(options: AgentOptions, signal: AbortSignal): Promise<RunningAgent> {
  const clock = options.clock ?? systemClock;
  const holder = new PolicyHolder();
  const metrics = createAgentMetrics(() => clock.wallMs() / 1000, options.processMetrics);
  const accessLog = openAccessLog(options, clock, metrics);
  const intake = createIntake(options, holder, metrics, clock);
  await intake.begin();
  const stopFollowing = new AbortController();
  const context: ProxyContext = {
    policyInForce: () => holder.current,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    clock,
    date: new HttpDate(clock),
    observer: observeExchanges(metrics, accessLog, clock),
    authorizer: options.authorizer ?? createAuthorizer({ logger: options.logger, clock, signal: stopFollowing.signal }),
    newRequestId: () => randomUUID(),
  };
  const servers = await startServers({ options, holder, metrics, context });
  const following = intake.follow(stopFollowing.signal);
  const sweeper = setInterval(() => servers.sweep(clock.nowMs()), SWEEP_MS);
  const stopAll = async (): Promise<void> => {
    await servers.stop(options.drainMs);
    stopFollowing.abort();
    await following;
    clearInterval(sweeper);
    await accessLog?.close();
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

function openAccessLog(options: AgentOptions, clock: Clock, metrics: AgentMetrics): AccessLog | undefined {
  if (options.accessLog === undefined) return undefined;
  const { fd, allowSampleRate } = options.accessLog;
  return new AccessLog({ fd, allowSampleRate, clock, random: Math.random, onDropped: () => metrics.onAccessLogDropped() });
}

function createIntake(options: AgentOptions, holder: PolicyHolder, metrics: AgentMetrics, clock: Clock): Intake {
  return new Intake(options, {
    logger: options.logger,
    createFilterChain: (program, keySets) =>
      createFilterChain(program, keySets, { onBug: (error) => options.logger.error({ err: error }, 'bug while judging, request denied') }),
    onPolicy: (policy) => {
      holder.set(policy);
      metrics.onBundle(policy.digest, clock.wallMs() / 1000);
    },
    onRefused: (code) => metrics.onBundleRefused(code),
  });
}
