/*
 * Follows the mounted configuration file. Mesh settings, settings of key servers, level and form of log lines take effect when they change; a
 * change of any other setting is logged as needing a restart. An invalid file changes nothing.
 */
import type { KeyServer } from '../api/key-servers.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ControllerConfig } from './controller.ts';
import { whyNoAddresses } from './pod-identity.ts';

/** Options of {@link followConfig}. */
export interface FollowOptions {
  /** The configuration at start. */
  readonly first: ControllerConfig;
  /** Reads the file again; undefined: there is no file. */
  readonly read: (() => Promise<ControllerConfig>) | undefined;
  readonly logger: Logger;
  /** Called once per change of the file, once per distinct error, and when an invalid file has become what it was before. */
  readonly onReload?: (result: 'success' | 'failure', reload: Reload) => void;
  /** Polling interval in milliseconds; default 5000, which is less than the kubelet takes to update the mounted file. */
  readonly pollMs?: number;
}

/** What a change of the file did. */
export interface Reload {
  /** Why the file is refused; `''`: it is not. */
  readonly error: string;
  /** Settings have changed that take effect at the next start only. */
  readonly needsRestart: boolean;
}

/** One setting that takes effect when it changes. */
interface LiveSetting<T> {
  readonly current: () => T;
  /** @returns a function that ends the subscription */
  readonly subscribe: (listener: () => void) => () => void;
}

/** The current settings of those that take effect when they change. */
export interface ConfigFollower {
  readonly mesh: LiveSetting<MeshConfig>;
  readonly keyServers: LiveSetting<readonly KeyServer[]>;
  /** The current settings of log lines. */
  readonly log: () => Pick<ControllerConfig, 'logLevel' | 'logFormat'>;
  /** Stops polling. */
  readonly stop: () => void;
}

/** Starts polling immediately. */
export function followConfig(options: FollowOptions): ConfigFollower {
  const listeners = { mesh: new Set<() => void>(), keyServers: new Set<() => void>() };
  let current = options.first;
  let lastError = '';
  const poll = async (read: () => Promise<ControllerConfig>): Promise<void> => {
    try {
      const next = await read();
      refuseOtherRoot(options.first, next);
      refuseEarlyAddresses(options.first, next);
      const wasInvalid = lastError !== '';
      lastError = '';
      const before = current;
      current = next;
      if (same(before, next) && !wasInvalid) return;
      const needsRestart = !same(withLiveSettings(options.first, next), next);
      options.onReload?.('success', { error: '', needsRestart });
      options.logger.info({ needsRestart }, 'configuration changed');
      if (!same(before.mesh, next.mesh)) for (const listener of listeners.mesh) listener();
      if (!same(before.jwks.servers, next.jwks.servers)) for (const listener of listeners.keyServers) listener();
    } catch (error) {
      const message = error instanceof RefusedError ? error.message : String(error);
      if (message === lastError) return;
      lastError = message;
      options.onReload?.('failure', { error: message, needsRestart: false });
      options.logger.error({ err: error }, 'configuration rejected, the last good one stays active');
    }
  };
  const { read } = options;
  let isPolling = false;
  const timer =
    read === undefined
      ? undefined
      : setInterval(() => {
          if (isPolling) return;
          isPolling = true;
          void poll(read).finally(() => {
            isPolling = false;
          });
        }, options.pollMs ?? 5_000);
  timer?.unref();

  return {
    mesh: liveSetting(listeners.mesh, () => current.mesh),
    keyServers: liveSetting(listeners.keyServers, () => current.jwks.servers),
    log: () => current,
    stop: () => clearInterval(timer),
  };
}

function liveSetting<T>(listeners: Set<() => void>, current: () => T): LiveSetting<T> {
  return {
    current,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Its policies would be missing in all bundles: the namespaces that are read do not change while the process runs. */
function refuseOtherRoot(first: ControllerConfig, { mesh }: ControllerConfig): void {
  if (first.watchNamespaces.length === 0 || mesh.rootNamespace === first.mesh.rootNamespace) return;
  throw new RefusedError('SP_CONFIG', `mesh.rootNamespace: "${mesh.rootNamespace}" needs a restart, because watchNamespaces is set`);
}

/** What podIP depends on takes effect at the next start, it immediately: until then, every peer would be unknown. */
function refuseEarlyAddresses(first: ControllerConfig, next: ControllerConfig): void {
  const reason = whyNoAddresses(withLiveSettings(first, next));
  if (reason !== undefined) throw new RefusedError('SP_CONFIG', `${reason}, and start the controller again`);
}

/** `config` with those settings of `next` that take effect without a restart. */
function withLiveSettings(config: ControllerConfig, { mesh, logLevel, logFormat, jwks }: ControllerConfig): ControllerConfig {
  return { ...config, mesh, logLevel, logFormat, jwks: { ...config.jwks, servers: jwks.servers } };
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
