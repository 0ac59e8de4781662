/*
 * Starts and stops everything of an agent that listens: application ports, the blocked port, the admin port.
 */

import { LIMITS } from '../limits/agent-limits.ts';
import { BoundedMap } from '../limits/containers.ts';
import type { AgentMetrics } from '../telemetry/agent-metrics.ts';
import { type AdminServer, startAdminServer } from './admin/admin-server.ts';
import { type ProbeResult, runAppProbe } from './admin/app-probe.ts';
import { limitRenderings } from './admin/metrics-text.ts';
import { isReadyWithin } from './admin/readiness.ts';
import type { AgentOptions } from './agent-options.ts';
import type { ActivePolicyHolder } from './bundles/active-policy.ts';
import { startBlockedPort } from './listener/blocked-port.ts';
import { Listener, type ListenerContext } from './listener/listener.ts';

/** The listening ports of one agent. */
export interface Servers {
  /** Listen ports, in the order of the options. */
  readonly ports: readonly number[];
  readonly adminPort: number | undefined;
  /** Closes connections that have passed their deadline. @param nowMs monotonic milliseconds */
  sweep(nowMs: number): void;
  /** Stops accepting connections; exchanges may continue for `drainMs` milliseconds. */
  stop(drainMs: number): Promise<void>;
}

/** Shared by the servers of one agent. */
export interface ServerParts {
  readonly options: AgentOptions;
  readonly holder: ActivePolicyHolder;
  readonly metrics: AgentMetrics;
  readonly context: ListenerContext;
  readonly maxAdminConnections: number;
}

/** Starts all servers, or none. @throws the system's error when a port is in use */
export async function startServers(parts: ServerParts): Promise<Servers> {
  const { options, metrics, context } = parts;
  const listeners = options.ports.map((port) => createListener(options, port, context));
  const stops: (() => void)[] = [];
  try {
    const ports = await Promise.all(listeners.map((listener) => listener.start()));
    const admin = await startAdmin(parts, stops);
    if (options.blockedPort !== undefined) {
      const { listenHost: host, blockedPort: port, logger } = options;
      const blocked = await startBlockedPort({ host, port, logger, clock: context.clock, onBlocked: () => metrics.onBlocked() });
      stops.push(() => blocked.stop());
    }
    return {
      ports,
      adminPort: admin?.port,
      sweep: (nowMs) => {
        for (const listener of listeners) listener.sweep(nowMs);
        admin?.sweep(nowMs);
      },
      stop: async (drainMs) => {
        await Promise.all(listeners.map((listener) => listener.stop(drainMs)));
        for (const stop of stops) stop();
      },
    };
  } catch (error) {
    for (const listener of listeners) await listener.stop(0);
    for (const stop of stops) stop();
    // The token cache of the process would remember the chain.
    parts.holder.current?.filterChain.release();
    throw error;
  }
}

function createListener(options: AgentOptions, port: AgentOptions['ports'][number], context: ListenerContext): Listener {
  return new Listener(
    {
      listenHost: options.listenHost,
      listenPort: port.listenPort,
      upstreamHost: options.appHost,
      upstreamPort: port.appPort,
      destinationIp: options.destinationIp,
      destinationPort: port.appPort,
    },
    context,
  );
}

async function startAdmin(
  { options, holder, metrics, context, maxAdminConnections }: ServerParts,
  stops: (() => void)[],
): Promise<AdminServer | undefined> {
  if (options.admin === undefined) return undefined;
  const runProbe = probeRunner(options);
  const server = await startAdminServer({
    ...options.admin,
    logger: options.logger,
    maxConnections: maxAdminConnections,
    isReady: (waitMs) => isReadyWithin(holder, waitMs, context.clock),
    metrics: limitRenderings(() => metrics.text(), context.clock),
    date: () => context.date.value(),
    clock: context.clock,
    probe: runProbe,
  });
  stops.push(() => server.stop());
  return server;
}

/** Runs probes by their name. Requests for a probe that is running share its result, so that their number bounds the connections. */
function probeRunner({ appProbes, appHost }: AgentOptions): (name: string) => Promise<ProbeResult> | undefined {
  const running = new BoundedMap<string, Promise<ProbeResult>>(LIMITS.runningProbes, Object.keys(appProbes).length);
  return (name) => {
    const probe = Object.hasOwn(appProbes, name) ? appProbes[name] : undefined;
    if (probe === undefined) return undefined;
    const known = running.get(name);
    if (known !== undefined) return known;
    const result = runAppProbe(probe, appHost).finally(() => running.delete(name));
    running.set(name, result);
    return result;
  };
}
