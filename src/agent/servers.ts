/*
 * Everything of an agent that listens: guarded ports, the blocked port, the admin port. In: options and the shared
 * context. Out: their port numbers, and a way to sweep and stop them together. Used by `startAgent`.
 */

import type { AgentMetrics } from '../telemetry/agent-metrics.ts';
import { startAdminServer } from './admin/admin-server.ts';
import { runAppProbe } from './admin/app-probe.ts';
import type { AgentOptions } from './agent-options.ts';
import type { PolicyHolder } from './bundles/active-policy.ts';
import type { ProxyContext } from './context.ts';
import { startBlockedPort } from './listener/blocked-port.ts';
import { Listener } from './listener/listener.ts';

export interface Servers {
  /** Listen ports, in the order of the options. */
  readonly ports: readonly number[];
  readonly adminPort: number | undefined;
  sweep(nowMs: number): void;
  /** Exchanges may go on for `drainMs`. */
  stop(drainMs: number): Promise<void>;
}

/** What the servers of one agent share. */
export interface ServerParts {
  readonly options: AgentOptions;
  readonly holder: PolicyHolder;
  readonly metrics: AgentMetrics;
  readonly context: ProxyContext;
}

/** Starts them all, or none. @throws the system's error when a port is taken */
export async function startServers(parts: ServerParts): Promise<Servers> {
  const { options, metrics, context } = parts;
  const listeners = options.ports.map((port) => createListener(options, port, context));
  const stops: (() => void)[] = [];
  try {
    const ports = await Promise.all(listeners.map((listener) => listener.start()));
    const adminPort = await startAdmin(parts, stops);
    if (options.blockedPort !== undefined) {
      const { listenHost: host, blockedPort: port, logger } = options;
      const blocked = await startBlockedPort({ host, port, logger, clock: context.clock, onBlocked: () => metrics.onBlocked() });
      stops.push(() => blocked.stop());
    }
    return {
      ports,
      adminPort,
      sweep: (nowMs) => {
        for (const listener of listeners) listener.sweep(nowMs);
      },
      stop: async (drainMs) => {
        await Promise.all(listeners.map((listener) => listener.stop(drainMs)));
        for (const stop of stops) stop();
      },
    };
  } catch (error) {
    for (const listener of listeners) await listener.stop(0);
    for (const stop of stops) stop();
    throw error;
  }
}

function createListener(options: AgentOptions, port: AgentOptions['ports'][number], context: ProxyContext): Listener {
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

async function startAdmin({ options, holder, metrics, context }: ServerParts, stops: (() => void)[]): Promise<number | undefined> {
  if (options.admin === undefined) return undefined;
  const server = await startAdminServer({
    ...options.admin,
    logger: options.logger,
    isReady: () => holder.current !== undefined,
    metrics: () => metrics.text(),
    date: () => context.date.text(),
    probe: (name) => {
      const probe = Object.hasOwn(options.appProbes, name) ? options.appProbes[name] : undefined;
      return probe === undefined ? undefined : runAppProbe(probe, options.appHost);
    },
  });
  stops.push(() => server.stop());
  return server.port;
}
