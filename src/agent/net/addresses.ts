/*
 * Listening servers, and addresses as policies see them.
 */
import type { Server } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';

/**
 * Starts listening.
 * @param host undefined: every address
 * @param port 0: any free port
 * @returns the port
 * @throws the system's error
 */
export async function listenOn(server: Server, host: string | undefined, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, backlog: LIMITS.acceptBacklog.value, ...(host === undefined ? {} : { host }) }, () => {
      server.off('error', reject);
      // A connection that cannot be accepted for lack of file descriptors; without a listener the process would end.
      server.on('error', () => LIMITS.openFiles.hit());
      resolve();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/** An address as policies see it: IPv4-mapped IPv6 as IPv4, without zone. */
export function plainAddress(address: string): string {
  const mapped = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  const zone = mapped.indexOf('%');
  return zone === -1 ? mapped : mapped.slice(0, zone);
}
