/*
 * Listening servers.
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
