/*
 * Starts and stops everything of an agent that listens: application ports, the blocked port, the admin port.
 */

import { LIMITS } from '../limits/agent-limits.ts';
import { BoundedMap } from '../limits/containers.ts';
import type { AgentMetrics } from '../telemetry/agent-metrics.ts';
import { type AdminServer, startAdminServer } from './admin/admin-server.ts';
import { isAppHook, type ProbeResult, runAppHook, runAppProbe } from './admin/app-probe.ts';
import { limitRenderings } from './admin/metrics-text.ts';
import { isReadyWithin } from './admin/readiness.ts';
import type { AgentOptions } from './agent-options.ts';
import type { ActivePolicyHolder } from './bundles/active-policy.ts';
import type { Bundles } from './bundles/bundles.ts';
import { startBlockedPort } from './listener/blocked-port.ts';
import type { CaptureOptions } from './listener/destinations.ts';
import { Listener, type ListenerContext } from './listener/listener.ts';
import { openOriginalDestination } from './listener/original-destination.ts';

/** The listening ports of one agent. */
export interface Servers {
  /** Listen ports, in the order of the options; the port of captured connections is last. */
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
  readonly bundles: Pick<Bundles, 'stop'>;
  readonly metrics: AgentMetrics;
  readonly context: ListenerContext;
  readonly maxAdminConnections: number;
  /** Why there is no TLS certificate; undefined: there is one, or none is needed. */
  readonly notReady: () => string | undefined;
}

/** Starts all servers, or none. @throws the system's error when a port is in use */
export async function startServers(parts: ServerParts): Promise<Servers> {
  const { options, metrics, context } = parts;
  const capture = captureOf(parts);
  const listeners = [...options.ports.map((port) => createListener(options, port, context)), ...createCapture(options, capture, context)];
  const stops: (() => void)[] = [];
  try {
    const ports = await Promise.all(listeners.map((listener) => listener.start()));
    const admin = await startAdmin(parts, capture, stops);
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
    parts.bundles.stop();
    throw error;
  }
}

function createListener(options: AgentOptions, port: AgentOptions['ports'][number], context: ListenerContext): Listener {
  return new Listener(
    {
      listenHost: options.listenHost,
      listenPort: port.listenPort,
      destination: {
        upstreamHost: options.appHost,
        upstreamPort: port.appPort,
        destinationIp: options.destinationIp,
        destinationPort: port.appPort,
        // Where the client chooses, it is HTTP: these ports were made for it.
        protocol: () => (context.appProtocolOf(port.appPort) === 'tcp' ? 'tcp' : 'http'),
      },
    },
    context,
  );
}

/** What a port speaks, by what its application does. */
const PORT_PROTOCOLS = { http1: 'http', http2: 'http', tcp: 'tcp', client: 'detect' } as const;

/** How destinations of captured connections are known; undefined: nothing is captured. */
function captureOf({ options, metrics, context }: ServerParts): CaptureOptions | undefined {
  const { capturePort, originalDestination, admin, profilingPort, logger } = options;
  if (capturePort === undefined) return undefined;
  const reader = originalDestination ?? openOriginalDestination();
  if ('problem' in reader) logger.error({ problem: reader.problem }, 'cannot read original destinations: every request gets 503');
  const ownPorts = [capturePort, admin?.port, profilingPort].filter((port) => port !== undefined);
  return {
    reader,
    ownPorts,
    logger,
    protocolOf: (port) => PORT_PROTOCOLS[context.appProtocolOf(port)],
    onRefused: () => metrics.onBlocked(),
  };
}

function createCapture(options: AgentOptions, capture: CaptureOptions | undefined, context: ListenerContext): readonly Listener[] {
  const { listenHost, capturePort } = options;
  if (capture === undefined || capturePort === undefined) return [];
  return [new Listener({ listenHost, listenPort: capturePort, destination: capture }, context)];
}

async function startAdmin(
  { options, holder, metrics, context, maxAdminConnections, notReady }: ServerParts,
  capture: CaptureOptions | undefined,
  stops: (() => void)[],
): Promise<AdminServer | undefined> {
  if (options.admin === undefined) return undefined;
  const runProbe = probeRunner(options);
  const server = await startAdminServer({
    ...options.admin,
    logger: options.logger,
    maxConnections: maxAdminConnections,
    problem: capture !== undefined && 'problem' in capture.reader ? capture.reader.problem : undefined,
    notReady,
    isReady: (waitMs) => isReadyWithin(holder, waitMs, context.clock),
    metrics: limitRenderings(() => metrics.text(), context.clock),
    date: () => context.date.value(),
    clock: context.clock,
    probe: runProbe,
  });
  stops.push(() => server.stop());
  return server;
}

/** Runs probes and hooks by their name. Requests for a probe that is running share its result, so that their number bounds the connections. */
function probeRunner({ appProbes, appHost }: AgentOptions): (name: string) => Promise<ProbeResult> | undefined {
  const running = new BoundedMap<string, Promise<ProbeResult>>(LIMITS.runningProbes, Object.keys(appProbes).length);
  return (name) => {
    const probe = Object.hasOwn(appProbes, name) ? appProbes[name] : undefined;
    if (probe === undefined) return undefined;
    const known = running.get(name);
    if (known !== undefined) return known;
    const result = (isAppHook(name) ? runAppHook : runAppProbe)(probe, appHost).finally(() => running.delete(name));
    running.set(name, result);
    return result;
  };
}
