/*
 * Loads and starts the server for profiles, in agent and controller.
 */
import type { ProfileServer, ProfileServerOptions } from '../profiling/profile-server.ts';

/** The server, when a port is configured. Undefined: none is, or it is in use, which is no reason to enforce nothing. */
export async function serveProfiles(
  port: number | undefined,
  { logger, onProfile }: Pick<ProfileServerOptions, 'logger' | 'onProfile'>,
): Promise<ProfileServer | undefined> {
  if (port === undefined || port === 0) return undefined;
  const { startProfileServer } = await import('../profiling/profile-server.ts');
  try {
    return await startProfileServer({ port, logger, wallMs: Date.now, onProfile });
  } catch (error) {
    logger.error({ err: error, port }, 'profiles cannot be served');
    return undefined;
  }
}
