/*
 * The port to which connections to undeclared ports are redirected: resets them, counts them and logs how to declare the port. Letting them
 * bypass the policies would be worse than a closed port.
 */
import { createServer } from 'node:net';
import { EXCLUDE_PORTS_ANNOTATION, INCLUDE_PORTS_ANNOTATION } from '../../api/kube/names.ts';
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { plainAddress } from '../../plain-address.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { listenOn } from '../net/listen-on.ts';

/** Address and reports of the blocked port. */
export interface BlockedPortOptions {
  /** Undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly onBlocked: () => void;
}

/** Milliseconds between two log lines: a port scan must not fill the log. */
const LOG_INTERVAL_MS = LIMITS.blockedPortLog.value;

/** A running blocked port. */
export interface BlockedPort {
  readonly port: number;
  stop(): void;
}

/** Resets every connection to a port. @throws the system's error when the address is in use */
export async function startBlockedPort(options: BlockedPortOptions): Promise<BlockedPort> {
  const { clock, logger } = options;
  let nextLogMs = 0;
  let unlogged = 0;
  const server = createServer((socket) => {
    const clientAddress = plainAddress(socket.remoteAddress ?? '');
    socket.on('error', () => {});
    socket.resetAndDestroy();
    options.onBlocked();
    unlogged += 1;
    if (clock.nowMs() < nextLogMs) return;
    nextLogMs = clock.nowMs() + LOG_INTERVAL_MS;
    const hint = `declare the port as containerPort or in the annotation ${INCLUDE_PORTS_ANNOTATION}, or exclude it with ${EXCLUDE_PORTS_ANNOTATION}`;
    logger.warn({ clientAddress, connections: unlogged, hint }, 'connection to an undeclared port refused');
    unlogged = 0;
  });
  const port = await listenOn(server, options.host, options.port);
  return { port, stop: () => server.close() };
}
