/*
 * Mirrors resources namespace by namespace, for a controller that has rights in some namespaces only: one reflector per resource and
 * namespace, merged into the sinks that a reflector of the whole cluster would fill.
 *
 * A namespace counts as a whole. Nothing of it reaches a sink before every resource has been listed there, because its pods without its
 * policies would be pods that no policy protects. A namespace that the API server does not let this process read stays as unknown as one
 * outside of the list, and does not keep the others from being mirrored.
 */
import { InvariantError, RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { KubeClient } from './client.ts';
import { type ListAll, listObjects } from './list-objects.ts';
import type { Reflector, ReflectorSink } from './reflector.ts';
import { isBefore } from './resource-version.ts';

/** Options of {@link WatchedNamespaces}. */
export interface WatchedNamespacesOptions {
  readonly client: KubeClient;
  /** Not empty; a name that is there twice counts once. */
  readonly namespaces: readonly string[];
  /** A namespace that must be readable before anything is mirrored: its policies apply in all others. */
  readonly root: string;
  readonly logger: Logger;
}

/** Refusals in a row after which a namespace counts as one that cannot be read: an API server that has just started may not know all roles. */
const REFUSALS = 5;

/** What the reflector of one namespace reports to. */
export interface NamespaceInput<T> {
  readonly sink: ReflectorSink<T>;
  readonly onForbidden: () => void;
}

/** The namespaces, and what is known of each. */
export class WatchedNamespaces {
  readonly #options: WatchedNamespacesOptions;
  readonly #namespaces: ReadonlySet<string>;
  readonly #mirrors: Joining[] = [];
  /** Namespaces whose objects the sinks have; undefined before the sinks have got anything. */
  #joined: Set<string> | undefined;

  constructor(options: WatchedNamespacesOptions) {
    this.#options = options;
    this.#namespaces = new Set(options.namespaces);
  }

  /**
   * A reflector of one resource in all namespaces. The sink gets one `replace` with the objects of all readable namespaces, once all that are
   * not readable are known; from then on `replaceIn`, `upsert` and `remove`. Sinks get a namespace in the order of the calls of this function.
   *
   * @param name of the resource, for the log
   * @param create the reflector of one namespace
   */
  mirror<T>(name: string, sink: ReflectorSink<T>, create: (namespace: string, input: NamespaceInput<T>) => Reflector): Reflector {
    const mirror = new Mirror(sink, this.#namespaces);
    this.#mirrors.push(mirror);
    const logger = this.#options.logger.child({ part: 'reflector', resource: name });
    const reflectors = [...this.#namespaces].map((namespace) =>
      create(namespace, {
        sink: mirror.inputOf(namespace, () => {
          if (mirror.acceptedIn(namespace)) logger.info({ namespace }, 'the namespace can be read again');
          this.#onProgress(namespace);
        }),
        onForbidden: () => {
          if (mirror.refusedIn(namespace)) logger.error({ namespace, code: 'SP_KUBE_FORBIDDEN' }, 'no rights to read the namespace');
          try {
            this.#onProgress(namespace);
          } catch (error) {
            // The next list or refusal tries again.
            logger.error({ namespace, err: error }, 'a sink failed because of a bug');
          }
        },
      }),
    );
    return {
      run: async (signal) => {
        await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
        mirror.synced.reject(signal.reason);
      },
      whenSynced: mirror.synced.promise,
      hasSynced: () => this.#joined !== undefined,
      forbidden: () => mirror.forbidden(),
      resourceVersion: () => undefined,
    };
  }

  /** Whether the sinks have the objects of every namespace. */
  isComplete(): boolean {
    return this.#joined?.size === this.#namespaces.size;
  }

  /**
   * Lists in each namespace that the sinks have, or, before they have any, in each that can be read.
   * @throws like {@link listObjects}, except for 403
   */
  readonly list: ListAll = async (collection, visit, signal) => {
    for (const namespace of this.#joined ?? this.#namespaces) {
      try {
        await listObjects(this.#options.client, { ...collection, namespace }, visit, signal);
      } catch (error) {
        if (!(error instanceof RefusedError) || error.code !== 'SP_KUBE_FORBIDDEN') throw error;
        this.#options.logger.error({ namespace, code: error.code, err: error }, 'no rights to read the namespace');
      }
    }
  };

  #onProgress(namespace: string): void {
    if (this.#joined === undefined) this.#startIfKnown();
    else if (!this.#joined.has(namespace) && this.#isListed(namespace)) {
      for (const mirror of this.#mirrors) mirror.join(namespace);
      for (const mirror of this.#mirrors) mirror.commit(namespace);
      this.#joined.add(namespace);
      this.#options.logger.info({ namespace }, 'namespace is watched from now on');
    }
  }

  #startIfKnown(): void {
    const listed = [...this.#namespaces].filter((namespace) => this.#isListed(namespace));
    const unknown = [...this.#namespaces].filter((namespace) => !listed.includes(namespace));
    const isRefused = (namespace: string): boolean => this.#mirrors.some((mirror) => mirror.refusalsOf(namespace) >= REFUSALS);
    if (!listed.includes(this.#options.root) || !unknown.every(isRefused)) return;
    if (unknown.length > 0) {
      this.#options.logger.error({ namespaces: unknown }, 'namespaces that cannot be read are left as they are');
    }
    for (const mirror of this.#mirrors) mirror.start(listed);
    this.#joined = new Set(listed);
    for (const mirror of this.#mirrors) {
      for (const namespace of listed) mirror.commit(namespace);
      mirror.synced.resolve();
    }
  }

  #isListed(namespace: string): boolean {
    return this.#mirrors.every((mirror) => mirror.isListed(namespace));
  }
}

/** What {@link WatchedNamespaces} needs of a mirror, whatever its objects are. */
type Joining = Pick<Mirror<never>, 'isListed' | 'refusalsOf' | 'start' | 'join' | 'commit' | 'synced'>;

/** One resource in one namespace. */
interface Part<T> {
  /** resourceVersion of the last list; undefined: not listed yet. */
  listed: string | undefined;
  /** Times in a row that the API server refused to be read with 403. */
  refusals: number;
  /** The objects, as long as the sink does not have them. */
  waiting: Map<string, T> | undefined;
  /** Keys of the objects that the sink has. */
  keys: Set<string>;
}

/** One resource in all namespaces. */
class Mirror<T> {
  readonly synced: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #sink: ReflectorSink<T>;
  readonly #parts: ReadonlyMap<string, Part<T>>;

  constructor(sink: ReflectorSink<T>, namespaces: Iterable<string>) {
    this.#sink = sink;
    this.#parts = new Map([...namespaces].map((name) => [name, { listed: undefined, refusals: 0, waiting: new Map(), keys: new Set() }]));
    // A caller that does not await the promise must not get an unhandled rejection.
    this.synced.promise.catch(() => undefined);
  }

  /** Receives the objects of one namespace. @param onListed called after each list */
  inputOf(namespace: string, onListed: () => void): ReflectorSink<T> {
    const part = this.#partOf(namespace);
    return {
      replace: (objects, resourceVersion) => {
        part.listed = resourceVersion;
        if (part.waiting === undefined) this.#replaceIn(namespace, objects, resourceVersion);
        else part.waiting = new Map(objects);
        onListed();
      },
      upsert: (key, object) => {
        if (part.waiting !== undefined) {
          part.waiting.set(key, object);
          return;
        }
        this.#sink.upsert(key, object);
        part.keys.add(key);
      },
      remove: (key) => {
        if (part.waiting !== undefined) part.waiting.delete(key);
        else if (part.keys.has(key)) {
          this.#sink.remove(key);
          part.keys.delete(key);
        }
      },
    };
  }

  isListed(namespace: string): boolean {
    return this.#partOf(namespace).listed !== undefined;
  }

  refusalsOf(namespace: string): number {
    return this.#partOf(namespace).refusals;
  }

  /** @returns whether it was not refused before */
  refusedIn(namespace: string): boolean {
    const part = this.#partOf(namespace);
    part.refusals += 1;
    return part.refusals === 1;
  }

  /** @returns whether it was refused before */
  acceptedIn(namespace: string): boolean {
    const part = this.#partOf(namespace);
    const wasRefused = part.refusals > 0;
    part.refusals = 0;
    return wasRefused;
  }

  /** Sorted. */
  forbidden(): readonly string[] {
    return [...this.#parts].flatMap(([namespace, { refusals }]) => (refusals > 0 ? [namespace] : [])).sort();
  }

  /** Gives the sink the objects of these namespaces as the only ones. */
  start(namespaces: readonly string[]): void {
    const objects = new Map<string, T>();
    let oldest = '';
    for (const namespace of namespaces) {
      const part = this.#partOf(namespace);
      for (const [key, object] of part.waiting ?? []) objects.set(key, object);
      // An object that was created after the first of the lists may be missing in it.
      if (oldest === '' || isBefore(part.listed, oldest)) oldest = part.listed ?? '';
    }
    this.#sink.replace(objects, oldest);
  }

  /** Gives the sink the objects of one more namespace. */
  join(namespace: string): void {
    const { waiting, listed = '' } = this.#partOf(namespace);
    this.#replaceIn(namespace, waiting ?? new Map(), listed);
  }

  /** To be called once all sinks have the namespace: until then, one that fails gets everything again. */
  commit(namespace: string): void {
    const part = this.#partOf(namespace);
    part.keys = new Set(part.waiting?.keys());
    part.waiting = undefined;
  }

  #replaceIn(namespace: string, objects: ReadonlyMap<string, T>, resourceVersion: string): void {
    const part = this.#partOf(namespace);
    if (this.#sink.replaceIn !== undefined) this.#sink.replaceIn(namespace, objects, resourceVersion);
    else {
      for (const [key, object] of objects) this.#sink.upsert(key, object);
      for (const key of part.keys) if (!objects.has(key)) this.#sink.remove(key);
    }
    part.keys = new Set(objects.keys());
  }

  #partOf(namespace: string): Part<T> {
    const part = this.#parts.get(namespace);
    if (part === undefined) throw new InvariantError(`not a watched namespace: ${namespace}`);
    return part;
  }
}
