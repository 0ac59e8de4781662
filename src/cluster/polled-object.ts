/*
 * Mirrors one object into a sink by reading it again and again. A Role can grant `get` of a namespace by its name, but neither `list` nor
 * `watch`: the API server decides about these as requests for the whole cluster, also with a selector of the name.
 */
import { type Clock, sleep, systemClock } from '../clock.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createBackoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { keyOf, type RawObject } from './kube-object.ts';
import { readObject } from './objects.ts';
import type { ObjectRef } from './paths.ts';
import type { Reflector, ReflectorSink } from './reflector.ts';

/** Options of {@link createPolledObject}. */
export interface PolledObjectOptions<T> {
  readonly client: KubeClient;
  readonly ref: ObjectRef;
  readonly project: (raw: RawObject) => T | undefined;
  /** Gets a list of one object, or of none, after each read. */
  readonly sink: Pick<ReflectorSink<T>, 'replace'>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
  /** Called each time that the API server refuses the read with 403. */
  readonly onForbidden?: () => void;
}

/** Time between two reads, in milliseconds: 100 namespaces cost the API server four requests per second. */
const POLL_MS = 25_000;
/** Longest delay after a read that failed, in milliseconds. */
const MAX_RETRY_MS = 25_000;

/** Mirrors one object; it sends no request before {@link Reflector.run}. */
export function createPolledObject<T>(options: PolledObjectOptions<T>): Reflector {
  const { client, ref, sink, project, onForbidden, clock = systemClock, random = Math.random } = options;
  const logger = options.logger.child({ part: 'reflector', kind: ref.resource.kind, namespace: ref.name });
  const backoff = createBackoff({ baseMs: 200, capMs: MAX_RETRY_MS, random });
  const synced = Promise.withResolvers<void>();
  // A caller that does not await the promise must not get an unhandled rejection.
  synced.promise.catch(() => undefined);
  let isSynced = false;
  const read = async (signal: AbortSignal): Promise<void> => {
    const raw = await readObject(client, ref, signal);
    const [key, object] = raw === undefined ? [] : [keyOf(raw), project(raw)];
    sink.replace(new Map(key === undefined || object === undefined ? [] : [[key, object]]), raw?.metadata?.resourceVersion ?? '');
    backoff.reset();
    isSynced = true;
    synced.resolve();
  };
  return {
    run: async (signal) => {
      while (!signal.aborted) {
        let delayMs = POLL_MS * (1 + random() / 10);
        try {
          await read(signal);
        } catch (error) {
          if (signal.aborted) break;
          delayMs = backoff.next();
          logger.warn({ err: error, attempt: backoff.failures(), delayMs: Math.round(delayMs) }, 'object not read; retrying');
          if (error instanceof RefusedError && error.code === 'SP_KUBE_FORBIDDEN') onForbidden?.();
        }
        await sleep(clock, delayMs, signal);
      }
      synced.reject(signal.reason);
    },
    whenSynced: synced.promise,
    hasSynced: () => isSynced,
    resourceVersion: () => undefined,
  };
}
