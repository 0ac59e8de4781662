/*
 * Settings of key servers while the controller runs: follows the configuration and the Secrets and ConfigMaps that it refers to, each
 * watched by its name in the controller's namespace, so that no rights on other Secrets are needed.
 */
import type { KeyServer, ValueSource } from '../api/key-servers.ts';
import { type Clock, sleep } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { CONFIG_MAPS, SECRETS } from '../cluster/paths.ts';
import { createReflector } from '../cluster/reflector.ts';
import { type ReferenceValue, type ResolvedServers, referenceText, resolveServers, type ServerOf } from '../jwks/server-settings.ts';
import type { Logger } from '../telemetry/logger.ts';

/** The settings in the configuration, which may change. */
export interface KeyServerSource {
  readonly current: () => readonly KeyServer[];
  /** Calls `listener` after each change. @returns a function that ends the subscription */
  readonly subscribe: (listener: () => void) => () => void;
}

/** Parts of {@link createKeyServers}. */
export interface KeyServersOptions {
  readonly client: KubeClient;
  /** The controller's. */
  readonly namespace: string;
  readonly source: KeyServerSource;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Called with what cannot be used, after each change of it; empty: everything can. */
  readonly onProblems: (problems: readonly string[]) => void;
}

/** Settings of key servers. */
export interface KeyServers {
  readonly serverOf: ServerOf;
  /** Calls `listener` when settings have changed, also what a reference holds. */
  readonly subscribe: (listener: () => void) => void;
  /** Resolves when every reference has been read or refused, at the latest after ten seconds. */
  readonly whenRead: (signal: AbortSignal) => Promise<void>;
  /** Watches until `signal` aborts. To be called once. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** Without the API server, keys of other servers need not wait longer. */
const READ_LIMIT_MS = 10_000;

/** One object that settings refer to. */
interface Watched {
  /** Undefined: not read yet. */
  read: ReferenceRead | undefined;
  readonly stop: () => void;
  readonly ended: Promise<void>;
}

type ReferenceRead = { readonly data: Readonly<Record<string, string>> | undefined } | 'forbidden';

/** Settings that nothing has been read for yet. */
export function createKeyServers(options: KeyServersOptions): KeyServers {
  return new FollowedKeyServers(options);
}

class FollowedKeyServers implements KeyServers {
  readonly #options: KeyServersOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #listeners = new Set<() => void>();
  readonly #waiting = new Set<() => void>();
  #resolved: ResolvedServers;
  #reported = '';

  constructor(options: KeyServersOptions) {
    this.#options = options;
    this.#resolved = resolveServers(options.source.current(), this.#read);
  }

  readonly serverOf: ServerOf = (target) => this.#resolved.serverOf(target);

  readonly subscribe = (listener: () => void): void => void this.#listeners.add(listener);

  async whenRead(signal: AbortSignal): Promise<void> {
    if (this.#isRead()) return;
    const ending = new AbortController();
    const isRead = new Promise<void>((resolve) => this.#waiting.add(resolve));
    await Promise.race([isRead, sleep(this.#options.clock, READ_LIMIT_MS, AbortSignal.any([signal, ending.signal]))]);
    ending.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    const follow = (): void => this.#follow();
    const unsubscribe = this.#options.source.subscribe(follow);
    follow();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    unsubscribe();
    const ended = [...this.#watched.values()].map((one) => one.ended);
    for (const { stop } of this.#watched.values()) stop();
    await Promise.all(ended);
  }

  /** Watches what the configuration refers to now, and nothing else. */
  #follow(): void {
    const wanted = new Map(
      this.#options.source.current().flatMap((server) => sourcesOf(server).map((source) => [idOf(source), source] as const)),
    );
    for (const [id, one] of this.#watched) {
      if (wanted.has(id)) continue;
      one.stop();
      this.#watched.delete(id);
    }
    for (const [id, source] of wanted) if (!this.#watched.has(id)) this.#watched.set(id, this.#watch(source));
    this.#resolve();
  }

  #watch(source: ValueSource): Watched {
    const { client, namespace, clock, random, logger } = this.#options;
    const ending = new AbortController();
    const { name = '' } = source.secretKeyRef ?? source.configMapKeyRef ?? {};
    const put = (read: ReferenceRead): void => {
      if (ending.signal.aborted) return;
      watched.read = read;
      this.#resolve();
    };
    const reflector = createReflector<Readonly<Record<string, string>>>({
      client,
      resource: source.secretKeyRef === undefined ? CONFIG_MAPS : SECRETS,
      namespace,
      fieldSelector: `metadata.name=${name}`,
      project: dataOf,
      sink: {
        replace: (objects) => put({ data: [...objects.values()][0] }),
        upsert: (_key, data) => put({ data }),
        remove: () => put({ data: undefined }),
      },
      clock,
      random,
      logger,
      onForbidden: () => put('forbidden'),
    });
    const watched: Watched = { read: undefined, stop: () => ending.abort(), ended: reflector.run(ending.signal) };
    return watched;
  }

  readonly #read = (source: ValueSource): ReferenceValue => {
    const { secretKeyRef, configMapKeyRef } = source;
    const { name, key } = secretKeyRef ?? configMapKeyRef ?? { name: '', key: '' };
    const object = `${secretKeyRef === undefined ? 'ConfigMap' : 'Secret'} "${name}" in namespace ${this.#options.namespace}`;
    const read = this.#watched.get(idOf(source))?.read;
    if (read === undefined) return { problem: `${object} has not been read yet` };
    if (read === 'forbidden') return { problem: `the controller has no rights to watch ${object} (chart: jwks.servers grants them)` };
    if (read.data === undefined) return { problem: `${object} does not exist` };
    const text = Object.hasOwn(read.data, key) ? read.data[key] : undefined;
    if (text === undefined) return { problem: `${object} has no key "${key}"` };
    const value = secretKeyRef === undefined ? text : decoded(text);
    return value === undefined ? { problem: `${referenceText(source)} is not UTF-8` } : { value };
  };

  #resolve(): void {
    const before = this.#resolved.state;
    this.#resolved = resolveServers(this.#options.source.current(), this.#read);
    if (this.#isRead()) {
      for (const resolve of this.#waiting) resolve();
      this.#waiting.clear();
      this.#report();
    }
    if (this.#resolved.state !== before) for (const listener of this.#listeners) listener();
  }

  #report(): void {
    const { problems } = this.#resolved;
    const text = problems.join('; ');
    if (text === this.#reported) return;
    this.#reported = text;
    if (text !== '') this.#options.logger.error({ code: 'SP_CONFIG', problems }, 'settings of key servers cannot be used');
    this.#options.onProblems(problems);
  }

  #isRead(): boolean {
    const ids = this.#options.source.current().flatMap((server) => sourcesOf(server).map(idOf));
    return ids.every((id) => this.#watched.get(id)?.read !== undefined);
  }
}

function sourcesOf({ caBundleFrom, proxyFrom, headers = [] }: KeyServer): readonly ValueSource[] {
  return [caBundleFrom, proxyFrom, ...headers.map(({ valueFrom }) => valueFrom)].filter((source) => source !== undefined);
}

/** Of the object, whose keys are read together. */
function idOf({ secretKeyRef, configMapKeyRef }: ValueSource): string {
  return secretKeyRef === undefined ? `ConfigMap ${configMapKeyRef?.name}` : `Secret ${secretKeyRef.name}`;
}

function dataOf(raw: RawObject): Readonly<Record<string, string>> {
  const data = raw['data'];
  if (typeof data !== 'object' || data === null) return {};
  return Object.fromEntries(Object.entries(data).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The text of a value of a Secret; undefined: it is not UTF-8. */
function decoded(base64: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64'));
  } catch {
    // The caller names the key.
    return undefined;
  }
}
