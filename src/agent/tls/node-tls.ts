/*
 * Node.js's TLS, loaded with its first use: an agent that terminates none saves 2 MiB of memory.
 */
import type * as NodeTls from 'node:tls';

/** The module `node:tls`. */
export function nodeTls(): typeof NodeTls {
  return process.getBuiltinModule('node:tls');
}
