/*
 * A faithful copy of one resource of the cluster. In: list and watch of the API server, as raw JSON. Out: slim objects
 * in a sink, only those that changed, kept right through drops, stalls, 410 and garbage for as long as it runs. The
 * controller runs one per kind; the sink is a store of src/sources.
 */

import { type Clock, sleep, systemClock } from '../clock.ts';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { errorOfAnswer } from './api-error.ts';
import { type Backoff, createBackoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { keyOf, type RawObject } from './kube-object.ts';
import { acceptOf, type Collection, listObjects, selectionOf } from './list-objects.ts';
import { collectionPath } from './paths.ts';
import { BrokenLineError, readWatchEvents, type WatchEvent } from './watch-lines.ts';

/** Where the copy goes. Called synchronously, in order, never at the same time; should not throw (see {@link Reflector.run}). */
export interface ReflectorSink<T> {
  /** Receives the complete collection after a list; objects whose keys are not in the map were deleted. */
  replace(objects: ReadonlyMap<string, T>): void;
  /** Appeared or changed. The key is `namespace/name`, or `name` for cluster-scoped objects. */
  upsert(key: string, object: T): void;
  remove(key: string): void;
}

/** Why the copy had to be fetched or connected anew. `expired`: 410; `broken`: a line that was no event; `idle`: nothing heard for too long;
 *  `error`: any other failure of list or watch. The regular end of a watch is none. */
export type RestartReason = 'expired' | 'broken' | 'idle' | 'error';

export interface ReflectorOptions<T> extends Collection {
  readonly client: KubeClient;
  /** What is kept of an object; undefined leaves it out (and removes it, should it be there). Must not keep parts it does not need. */
  readonly project: (raw: RawObject) => T | undefined;
  readonly sink: ReflectorSink<T>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
  /** Told of each restart, for metrics. */
  readonly onRestart?: (reason: RestartReason) => void;
}

export interface Reflector {
  /** Lists and watches until the signal aborts, then resolves. Never rejects: failures are logged, counted and retried. To be called once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the first list is in the sink; rejects only when the run was aborted before that. */
  readonly whenSynced: Promise<void>;
  /** Has the first list reached the sink? */
  hasSynced(): boolean;
  /** The resourceVersion up to which the copy is right; undefined before the first list and after a 410. */
  resourceVersion(): string | undefined;
}

/** The API server sends a bookmark about every minute, so silence beyond this means that nobody is there. */
const IDLE_MS = 90_000;
/** Both bounds of a watch's length that the server is asked for, in seconds: spread, so that watches do not end together. */
const WATCH_SECONDS: readonly [number, number] = [300, 600];
/** A watch this long counts as healthy and makes the next failure the first again. */
const HEALTHY_MS = 60_000;
/** A watch that the server ends sooner than this is a failure: without a delay it would be a storm. */
const HASTY_MS = 1_000;
const HEAD_TIMEOUT_MS = 30_000;

class IdleError extends Error {
  override readonly name: string = 'IdleError';
}

/** A reflector of one collection; nothing happens before {@link Reflector.run}. */
export function createReflector<T>(options: ReflectorOptions<T>): Reflector {
  const synced = Promise.withResolvers<void>();
  // Whoever does not wait for it must not be punished with an unhandled rejection.
  synced.promise.catch(() => undefined);
  const loop = new ReflectorLoop(options, () => synced.resolve());
  return {
    run: async (signal) => {
      await loop.run(signal);
      synced.reject(signal.reason);
    },
    whenSynced: synced.promise,
    hasSynced: () => loop.synced,
    resourceVersion: () => loop.resourceVersion,
  };
}

/** The single loop behind a reflector, and the state that it alone changes. */
class ReflectorLoop<T> {
  synced = false;
  resourceVersion: string | undefined;
  readonly #options: ReflectorOptions<T>;
  readonly #onSynced: () => void;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  readonly #backoff: Backoff;
  /** resourceVersion of each object as the sink was last given it. */
  #versions = new Map<string, string>();

  constructor(options: ReflectorOptions<T>, onSynced: () => void) {
    this.#options = options;
    this.#onSynced = onSynced;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#logger = options.logger.child({ component: 'reflector', kind: options.resource.kind });
    this.#backoff = createBackoff({ baseMs: 200, capMs: 30_000, random: this.#random });
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let watchedFromMs: number | undefined;
      try {
        this.resourceVersion ??= await this.#list(signal);
        watchedFromMs = this.#clock.nowMs();
        await this.#watch(this.resourceVersion, signal);
        if (this.#clock.nowMs() - watchedFromMs < HASTY_MS) throw new TransientError('SP_KUBE_API', 'the server ended the watch at once');
      } catch (thrown) {
        if (signal.aborted) return;
        if (watchedFromMs !== undefined && this.#clock.nowMs() - watchedFromMs >= HEALTHY_MS) this.#backoff.reset();
        await this.#recover(thrown, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const objects = new Map<string, T>();
    const versions = new Map<string, string>();
    const visit = (raw: RawObject): void => {
      const key = keyOf(raw);
      const object = this.#project(raw);
      if (key === undefined || object === undefined) return;
      objects.set(key, object);
      versions.set(key, raw.metadata?.resourceVersion ?? '');
    };
    const resourceVersion = await listObjects(this.#options.client, this.#options, visit, signal);
    signal.throwIfAborted();
    const relisted = this.synced;
    this.#callSink(() => this.#options.sink.replace(objects));
    this.#versions = versions;
    this.#logger.debug({ objects: objects.size, relisted }, 'listed');
    if (!this.synced) {
      this.synced = true;
      this.#onSynced();
    }
    return resourceVersion;
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const [shortest, longest] = WATCH_SECONDS;
    const watch = new AbortController();
    const leave = (): void => watch.abort(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    const idle = watchdog(this.#clock, IDLE_MS, () => watch.abort(new IdleError(`nothing heard for ${IDLE_MS} ms`)));
    try {
      const { body } = await this.#options.client.stream({
        method: 'GET',
        path: collectionPath(this.#options.resource, this.#options.namespace),
        query: {
          ...selectionOf(this.#options),
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion,
          timeoutSeconds: Math.floor(shortest + this.#random() * (longest - shortest)),
        },
        accept: acceptOf(this.#options, ''),
        timeoutMs: HEAD_TIMEOUT_MS,
        signal: watch.signal,
      });
      for await (const event of readWatchEvents(body, idle.touch)) {
        if (watch.signal.aborted) break;
        this.#apply(event);
      }
      watch.signal.throwIfAborted();
    } catch (thrown) {
      throw watch.signal.aborted ? watch.signal.reason : thrown;
    } finally {
      idle.stop();
      signal.removeEventListener('abort', leave);
      watch.abort();
    }
  }

  #apply(event: WatchEvent): void {
    const raw = event.object;
    if (event.type === 'ERROR') {
      this.resourceVersion = undefined;
      const status = typeof raw['code'] === 'number' ? raw['code'] : 500;
      const path = collectionPath(this.#options.resource, this.#options.namespace);
      throw errorOfAnswer({ method: 'WATCH', path }, { status, body: raw, wallMs: this.#clock.wallMs() });
    }
    const key = keyOf(raw);
    const version = raw.metadata?.resourceVersion;
    if (version === undefined || (key === undefined && event.type !== 'BOOKMARK')) {
      throw new BrokenLineError('an object of the watch has no name or no resourceVersion');
    }
    if (key !== undefined && event.type !== 'BOOKMARK') this.#applyObject(key, version, event);
    this.resourceVersion = version;
  }

  #applyObject(key: string, version: string, event: WatchEvent): void {
    const object = event.type === 'DELETED' ? undefined : this.#project(event.object);
    if (object === undefined) {
      if (this.#versions.delete(key)) this.#callSink(() => this.#options.sink.remove(key));
    } else if (this.#versions.get(key) !== version) {
      this.#callSink(() => this.#options.sink.upsert(key, object));
      this.#versions.set(key, version);
    }
  }

  /** Decides what is still right after a failure, then waits. */
  async #recover(thrown: unknown, signal: AbortSignal): Promise<void> {
    const gone = thrown instanceof TransientError && thrown.code === 'SP_KUBE_GONE';
    const bug = thrown instanceof InvariantError;
    const reason: RestartReason = gone
      ? 'expired'
      : thrown instanceof BrokenLineError
        ? 'broken'
        : thrown instanceof IdleError
          ? 'idle'
          : 'error';
    if (reason === 'expired' || reason === 'broken' || bug || thrown instanceof RefusedError) this.resourceVersion = undefined;
    const delayMs = this.#backoff.next(thrown instanceof TransientError ? thrown.retryAfterMs : undefined);
    const fields = { err: thrown, reason, attempt: this.#backoff.failures(), delayMs: Math.round(delayMs) };
    if (bug) this.#logger.error(fields, 'reflector failed by a fault of our own');
    else if (gone) this.#logger.info(fields, 'watch expired, listing again');
    else this.#logger.warn(fields, 'reflector restarts');
    this.#options.onRestart?.(reason);
    await sleep(this.#clock, delayMs, signal);
  }

  #project(raw: RawObject): T | undefined {
    try {
      return this.#options.project(raw);
    } catch (cause) {
      throw new InvariantError(`project failed on ${this.#options.resource.kind} ${keyOf(raw)}`, { cause });
    }
  }

  #callSink(call: () => void): void {
    try {
      call();
    } catch (cause) {
      throw new InvariantError(`the sink of ${this.#options.resource.kind} failed`, { cause });
    }
  }
}

/** Runs `onSilence` once when nobody has touched it for `silenceMs`; a touch costs no timer. */
function watchdog(clock: Clock, silenceMs: number, onSilence: () => void): { touch: () => void; stop: () => void } {
  let touchedMs = clock.nowMs();
  let cancel = (): void => undefined;
  const arm = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => {
      const leftMs = touchedMs + silenceMs - clock.nowMs();
      if (leftMs <= 0) onSilence();
      else arm(leftMs);
    });
  };
  arm(silenceMs);
  return {
    touch: () => {
      touchedMs = clock.nowMs();
    },
    stop: () => cancel(),
  };
}
