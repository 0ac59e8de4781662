/*
 * Mirrors one Kubernetes resource into a sink by list and watch, and keeps it correct across disconnects, stalls, 410 responses
 * and invalid events. Objects are projected to small values. The controller runs one reflector per kind; the sinks are stores
 * of src/state.
 */

import { type Clock, sleep, systemClock } from '../clock.ts';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { errorOfResponse } from './api-error.ts';
import { type Backoff, createBackoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { isRawObject, keyOf, type RawObject } from './kube-object.ts';
import { acceptOf, type Collection, listObjects, selectionOf } from './list-objects.ts';
import { collectionPath } from './paths.ts';
import { isBefore } from './resource-version.ts';
import { BrokenLineError, readWatchEvents, type WatchEvent } from './watch-lines.ts';

/** Receives the objects. Called synchronously and in order; should not throw (see {@link Reflector.run}). */
export interface ReflectorSink<T> {
  /**
   * Receives the complete collection after a list; objects whose keys are not in the map were deleted. Not in the map either are objects that
   * were created after `resourceVersion`, that of the list.
   */
  replace(objects: ReadonlyMap<string, T>, resourceVersion: string): void;
  /**
   * The same for the objects of one namespace; those of others stay. Absent: {@link WatchedNamespaces} calls `upsert` and `remove` instead. Needed
   * by a sink that knows of objects that no reflector reported.
   */
  replaceIn?(namespace: string, objects: ReadonlyMap<string, T>, resourceVersion: string): void;
  /** Receives an object that was added or changed. The key is `namespace/name`, or `name` for cluster-scoped objects. */
  upsert(key: string, object: T): void;
  /** Receives the key of a deleted object. */
  remove(key: string): void;
}

/**
 * Why a reflector listed or watched again. `expired`: 410; `broken`: an invalid watch event; `idle`: no data for too long;
 * `error`: any other failure of list or watch. The regular end of a watch is not a restart.
 */
export type RestartReason = 'expired' | 'broken' | 'idle' | 'error';

/** Options of {@link createReflector}. */
export interface ReflectorOptions<T> extends Collection {
  readonly client: KubeClient;
  /** Projects an object to the value to keep; undefined omits the object, or removes it. Must not retain parts that are not needed. */
  readonly project: (raw: RawObject) => T | undefined;
  readonly sink: ReflectorSink<T>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
  /** Called on each restart, for metrics. */
  readonly onRestart?: (reason: RestartReason) => void;
  /** Called each time that the API server refuses list or watch with 403. */
  readonly onForbidden?: () => void;
}

/** Mirrors one collection into a sink. */
export interface Reflector {
  /** Lists and watches until the signal aborts. Never rejects: failures are logged, counted and retried. Call once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the sink has received the first list; rejects only if the signal aborts before that. */
  readonly whenSynced: Promise<void>;
  /** Whether the sink has received the first list. */
  hasSynced(): boolean;
  /** Whether changes arrive, as far as this process can know; absent: unknown. False while the server is away, and between list and watch. */
  isWatching?(): boolean;
  /** Namespaces that the API server does not let this process read, sorted; absent: it reads the whole cluster. */
  forbidden?(): readonly string[];
  /** The resourceVersion that the sink corresponds to; undefined before the first list, after a 410, and of several namespaces. */
  resourceVersion(): string | undefined;
}

/** The API server sends a bookmark about every minute, so a longer silence means a dead connection. */
const IDLE_MS = 90_000;
/** Range of the watch duration requested from the server, in seconds; random, so that watches do not end at the same time. */
const WATCH_SECONDS: readonly [number, number] = [300, 600];
/** A watch of at least this duration resets the delays of lists. */
const HEALTHY_MS = 60_000;
/** Longest delay before the next watch, after one that the server had accepted, in milliseconds: changes must not wait for it. */
const MAX_REOPEN_MS = 800;
/** Longest delay after a failure without a response or with an error, in milliseconds: what caused it may be over at any time. */
const MAX_RETRY_MS = 4_000;
/** Longest delay before a list that takes the place of a watch, in milliseconds: it costs the server in proportion to the objects. */
const MAX_LIST_MS = 30_000;
/** A watch that the server ends sooner counts as a failure: without a delay, the reflector would flood the server with requests. */
const MIN_WATCH_MS = 1_000;
const HEAD_TIMEOUT_MS = 30_000;

class IdleError extends Error {
  override readonly name: string = 'IdleError';
}

/** A reflector of one collection; it sends no request before {@link Reflector.run}. */
export function createReflector<T>(options: ReflectorOptions<T>): Reflector {
  const synced = Promise.withResolvers<void>();
  // A caller that does not await the promise must not get an unhandled rejection.
  synced.promise.catch(() => undefined);
  const loop = new ReflectorLoop(options, () => synced.resolve());
  return {
    run: async (signal) => {
      await loop.run(signal);
      synced.reject(signal.reason);
    },
    whenSynced: synced.promise,
    hasSynced: () => loop.synced,
    isWatching: () => loop.isWatching,
    resourceVersion: () => loop.resourceVersion,
  };
}

/** etcd was restored from a backup. */
function wentBack(version: string, known: string): TransientError {
  return new TransientError('SP_KUBE_GONE', `the server is at version ${version}, before ${known}`);
}

/** The loop of a reflector and its state. */
class ReflectorLoop<T> {
  synced = false;
  resourceVersion: string | undefined;
  readonly #options: ReflectorOptions<T>;
  readonly #onSynced: () => void;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #logger: Logger;
  /** Between watches, and between attempts to list. */
  readonly #retries: Backoff;
  /** Between lists because a watch cannot be continued. */
  readonly #lists: Backoff;
  /** The server has accepted the present watch. */
  #isOpen = false;
  /** The server could not be reached since the last watch: it may be another one, or its etcd that of a backup. */
  #wasAway = false;
  /** resourceVersion of each object in the sink. */
  #versions = new Map<string, string>();

  constructor(options: ReflectorOptions<T>, onSynced: () => void) {
    this.#options = options;
    this.#onSynced = onSynced;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    const { logger, resource, namespace } = options;
    this.#logger = logger.child({ part: 'reflector', kind: resource.kind, ...(namespace === undefined ? {} : { namespace }) });
    this.#retries = createBackoff({ baseMs: 200, capMs: MAX_RETRY_MS, random: this.#random });
    this.#lists = createBackoff({ baseMs: 200, capMs: MAX_LIST_MS, random: this.#random });
  }

  get isWatching(): boolean {
    return this.synced && this.#isOpen;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let watchedFromMs: number | undefined;
      this.#isOpen = false;
      try {
        if (this.#wasAway && this.resourceVersion !== undefined) await this.#requireVersion(this.resourceVersion, signal);
        this.#wasAway = false;
        this.resourceVersion ??= await this.#list(signal);
        watchedFromMs = this.#clock.nowMs();
        await this.#watch(this.resourceVersion, signal);
        if (this.#clock.nowMs() - watchedFromMs < MIN_WATCH_MS)
          throw new TransientError('SP_KUBE_API', 'the server ended the watch immediately');
      } catch (thrown) {
        if (signal.aborted) return;
        if (watchedFromMs !== undefined && this.#clock.nowMs() - watchedFromMs >= HEALTHY_MS) {
          this.#retries.reset();
          this.#lists.reset();
        }
        await this.#recover(thrown, signal);
      }
    }
  }

  /**
   * Asks for the version that the server is at. A server whose etcd was restored from a backup accepts a watch from a later version, and
   * sends nothing up to that version but, once a minute, a bookmark.
   *
   * @throws TransientError SP_KUBE_GONE when the server is at an earlier version
   */
  async #requireVersion(version: string, signal: AbortSignal): Promise<void> {
    const { json } = await this.#options.client.request({
      method: 'GET',
      path: collectionPath(this.#options.resource, this.#options.namespace),
      query: { ...selectionOf(this.#options), limit: 1 },
      accept: acceptOf(this.#options, 'List'),
      signal,
    });
    const current = isRawObject(json) ? json.metadata?.resourceVersion : undefined;
    if (isBefore(current, version)) throw wentBack(current ?? '', version);
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
    this.#callSink(() => this.#options.sink.replace(objects, resourceVersion));
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
    const idle = watchdog(this.#clock, IDLE_MS, () => watch.abort(new IdleError(`no data for ${IDLE_MS} ms`)));
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
      this.#isOpen = true;
      for await (const event of readWatchEvents(body, idle.onData)) {
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
      throw errorOfResponse({ method: 'WATCH', path }, { status, body: raw, wallMs: this.#clock.wallMs() });
    }
    const key = keyOf(raw);
    const version = raw.metadata?.resourceVersion;
    if (version === undefined || (key === undefined && event.type !== 'BOOKMARK')) {
      throw new BrokenLineError('an object in the watch has no name or no resourceVersion');
    }
    if (event.type === 'BOOKMARK' && isBefore(version, this.resourceVersion)) {
      throw wentBack(version, this.resourceVersion ?? '');
    }
    if (key !== undefined && event.type !== 'BOOKMARK') this.#applyObject(key, version, event);
    this.resourceVersion = version;
    this.#retries.reset();
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

  /** Decides after a failure whether to list again or to resume the watch, then waits. */
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
    const mustList = reason === 'expired' || reason === 'broken' || bug || thrown instanceof RefusedError;
    if (mustList) this.resourceVersion = undefined;
    else if (!this.#isOpen) this.#wasAway = true;
    const backoff = mustList ? this.#lists : this.#retries;
    const atLeastMs = thrown instanceof TransientError ? thrown.retryAfterMs : undefined;
    const delayMs = backoff.next(atLeastMs, this.#isOpen && !mustList ? MAX_REOPEN_MS : MAX_LIST_MS);
    const fields = { err: thrown, reason, attempt: backoff.failures(), delayMs: Math.round(delayMs) };
    if (bug) this.#logger.error(fields, 'reflector failed because of a bug');
    else if (gone) this.#logger.info(fields, 'watch expired, listing again');
    else this.#logger.warn(fields, 'restarting reflector');
    this.#options.onRestart?.(reason);
    if (thrown instanceof RefusedError && thrown.code === 'SP_KUBE_FORBIDDEN') this.#options.onForbidden?.();
    await sleep(this.#clock, delayMs, signal);
  }

  #project(raw: RawObject): T | undefined {
    try {
      return this.#options.project(raw);
    } catch (cause) {
      throw new InvariantError(`projection of ${this.#options.resource.kind} ${keyOf(raw)} failed`, { cause });
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

/** Calls `onSilence` once if `onData` was not called for `silenceMs`. `onData` only stores the time and sets no timer. */
function watchdog(clock: Clock, silenceMs: number, onSilence: () => void): { onData: () => void; stop: () => void } {
  let lastDataMs = clock.nowMs();
  let cancel = (): void => undefined;
  const arm = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => {
      const leftMs = lastDataMs + silenceMs - clock.nowMs();
      if (leftMs <= 0) onSilence();
      else arm(leftMs);
    });
  };
  arm(silenceMs);
  return {
    onData: () => {
      lastDataMs = clock.nowMs();
    },
    stop: () => cancel(),
  };
}
