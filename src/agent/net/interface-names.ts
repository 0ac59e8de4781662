/*
 * The network interfaces of the agent's network namespace.
 */
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

const LINUX_INTERFACES = '/sys/class/net';

/** Names of all interfaces, those without an address included. */
export function interfaceNames(): ReadonlySet<string> {
  const named = Object.keys(networkInterfaces());
  try {
    return new Set([...named, ...readdirSync(LINUX_INTERFACES)]);
  } catch {
    // Not Linux, or /sys is not mounted.
    return new Set(named);
  }
}
