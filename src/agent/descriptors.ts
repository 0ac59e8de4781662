/*
 * Fits the limits of an agent to the file descriptors that the process may open, so that client connections never use up those that
 * the application, the admin port and the bundle need.
 */
import { readFileSync } from 'node:fs';
import { LIMITS } from '../limits/agent-limits.ts';
import type { AgentLimits } from './context.ts';

/** Kept for everything but sockets of clients, of the application and of the admin port. */
const RESERVED = LIMITS.reservedDescriptors.value;
const MAX_IDLE = LIMITS.idleUpstreamConnections.value;
const MAX_ADMIN = LIMITS.adminConnections.value;
/** The admin port may use this share of a small number of descriptors. */
const ADMIN_SHARE = 1 / 8;

/** Client connections that suffice where their number was not set. */
const ENOUGH_CONNECTIONS = 1000;

/** Limits that fit together. */
export interface FittedLimits {
  readonly limits: AgentLimits;
  readonly maxAdminConnections: number;
}

/** Descriptors that this process may open; undefined: unknown. */
export function descriptorLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux.
    return undefined;
  }
}

/**
 * `limits` with as many client connections of each port as `descriptors` allow: a client may need one more to the application or to
 * an ext_authz server, and the pool keeps unused ones.
 */
export function fitToDescriptors(limits: AgentLimits, ports: number, descriptors: number | undefined): FittedLimits {
  if (descriptors === undefined) return { limits, maxAdminConnections: MAX_ADMIN };
  const maxAdminConnections = Math.max(1, Math.min(MAX_ADMIN, Math.floor(descriptors * ADMIN_SHARE)));
  const left = (descriptors - RESERVED - maxAdminConnections) / Math.max(1, ports);
  const fitting = Math.floor(left >= 3 * MAX_IDLE ? (left - MAX_IDLE) / 2 : left / 3);
  return { limits: { ...limits, maxConnections: Math.max(1, Math.min(limits.maxConnections, fitting)) }, maxAdminConnections };
}

/** Is a warning due that no more than `fitting` client connections are possible? @param wanted the number that was set; undefined: none was */
export function isTooFew(fitting: number, wanted: number | undefined): boolean {
  return fitting < (wanted ?? ENOUGH_CONNECTIONS);
}
