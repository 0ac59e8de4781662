/*
 * One agent: intake, listeners, access log, metrics and admin port put together. In: options. Out: a running agent that
 * can be asked and stopped. Called by the agent's entry point and by `sallyport run`; several may run in one process.
 */
import { randomUUID } from 'node:crypto';
import type { AppProbes } from '../api/kube/agent-contract.ts';
import type { WorkloadRef } from '../bundle/bundle.ts';
import { type Clock, systemClock } from '../clock.ts';
import { createJudge } from '../judge/judge.ts';
import { type AgentMetrics, createAgentMetrics } from '../telemetry/agent-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createAuthorizer } from './authorizer/authorizer.ts';
import { Intake } from './intake/intake.ts';
import { PolicyHolder } from './intake/policy-holder.ts';
import { AccessLog } from './log/access-log.ts';
import { observeExchanges } from './log/observe-exchanges.ts';
import { type Authorizer, DEFAULT_LIMITS, type ProxyContext, type ProxyLimits } from './proxy/context.ts';
import { HttpDate } from './proxy/http-date.ts';
import { startServers } from './servers.ts';

/** A port that the agent guards. */
export interface GuardedPort {
  /** 0: any free port. */
  readonly listenPort: number;
  /** The application's port: where requests go, and what policies see as destination port. */
  readonly appPort: number;
}

export interface AgentOptions {
  readonly bundleDir: string;
  /** Undefined: a bundle for any workload is taken. */
  readonly workload: WorkloadRef | undefined;
  /** Downward-API file with the pod's labels; undefined: `labels` counts. */
  readonly labelsFile: string | undefined;
  /** Undefined: unknown, which is fine while the bundle has one program. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Writable folder for the last good bundle; undefined: it is kept in memory alone. */
  readonly stateDir: string | undefined;
  /** Milliseconds between looks at the files when the system notices nothing. */
  readonly pollMs: number;
  readonly ports: readonly GuardedPort[];
  /** Undefined: every address. */
  readonly listenHost: string | undefined;
  /** Where the application is reached. */
  readonly appHost: string;
  /** The pod's address as policies see it; undefined: the address each client connected to. */
  readonly destinationIp: string | undefined;
  /** Undefined: no such port. */
  readonly blockedPort: number | undefined;
  /** Undefined: no admin server. */
  readonly admin: { readonly host: string | undefined; readonly port: number } | undefined;
  readonly appProbes: AppProbes;
  /** Undefined: no access log. */
  readonly accessLog: { readonly fd: number; readonly allowSampleRate: number } | undefined;
  readonly limits?: Partial<ProxyLimits>;
  /** How long exchanges may go on after `stop`, in milliseconds. */
  readonly drainMs: number;
  readonly logger: Logger;
  /** Node's own metrics too; for the only agent of a process. */
  readonly processMetrics: boolean;
  /** In place of the one that asks the providers of the bundle. */
  readonly authorizer?: Authorizer;
  readonly clock?: Clock;
}

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
    createJudge: (program, keySets) =>
      createJudge(program, keySets, { onBug: (error) => options.logger.error({ err: error }, 'bug while judging, request denied') }),
    onPolicy: (policy) => {
      holder.set(policy);
      metrics.onBundle(policy.digest, clock.wallMs() / 1000);
    },
    onRefused: (code) => metrics.onBundleRefused(code),
  });
}
