/*
 * Follows the mounted configuration. In: how to read it anew. Out: the mesh settings as they are now, and word when they
 * change; other settings need a restart, which is said. A configuration that is wrong changes nothing. Called by the entry point.
 */
import type { MeshConfig } from '../api/mesh-config.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ControllerConfig } from './controller.ts';

export interface FollowOptions {
  readonly first: ControllerConfig;
  /** Absent: nothing to follow. */
  readonly read: (() => Promise<ControllerConfig>) | undefined;
  readonly logger: Logger;
  readonly onReload?: (result: 'success' | 'failure') => void;
  /** How often to look, in milliseconds; default 5000: the kubelet takes longer than that to bring a change. */
  readonly pollMs?: number;
}

export interface ConfigFollower {
  readonly mesh: {
    readonly current: () => MeshConfig;
    readonly subscribe: (listener: () => void) => () => void;
  };
  readonly stop: () => void;
}

/** Begins to follow at once. */
export function followConfig(options: FollowOptions): ConfigFollower {
  const listeners = new Set<() => void>();
  let now = options.first;
  let lastFault = '';
  const look = async (read: () => Promise<ControllerConfig>): Promise<void> => {
    try {
      const next = await read();
      lastFault = '';
      const before = now;
      now = next;
      if (same(before, next)) return;
      options.onReload?.('success');
      options.logger.info({ needsRestart: !same({ ...before, mesh: next.mesh }, next) }, 'configuration changed');
      if (!same(before.mesh, next.mesh)) for (const listener of listeners) listener();
    } catch (error) {
      const fault = error instanceof RefusedError ? error.message : String(error);
      if (fault === lastFault) return;
      lastFault = fault;
      options.onReload?.('failure');
      options.logger.error({ err: error }, 'configuration refused, the last good one stays');
    }
  };
  const { read } = options;
  let isLooking = false;
  const timer =
    read === undefined
      ? undefined
      : setInterval(() => {
          if (isLooking) return;
          isLooking = true;
          void look(read).finally(() => {
            isLooking = false;
          });
        }, options.pollMs ?? 5_000);
  timer?.unref();

  return {
    mesh: {
      current: () => now.mesh,
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    stop: () => clearInterval(timer),
  };
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
