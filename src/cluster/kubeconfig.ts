/*
 * Finds the API server and the credentials: from a kubeconfig file, the environment or the pod's service account. The
 * KubeConfig keeps a single connection pool; client-node would create a new connection for every request.
 */
import { getSystemErrorMessage } from 'node:util';
import { type Cluster, type DispatcherOptions, HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node';
import { InvariantError, RefusedError } from '../errors.ts';

/** Selects the credentials. */
export interface KubeSource {
  /** Path of a kubeconfig file. Absent: `$KUBECONFIG`, `~/.kube/config`, then the pod's service account. */
  readonly kubeconfig?: string;
  /** Name of a context in it; absent: its current context. */
  readonly context?: string;
  /** Uses only the pod's service account. */
  readonly inCluster?: boolean;
}

type Pool = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/** What every request needs to be accepted. */
export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly pool: Pool;
}

/** client-node reads certificates and keys from their files, and asks plugins, each time; files change rarely, and a 401 makes it ask again. */
const ACCESS_MS = 10_000;

/** A KubeConfig whose requests share one connection pool. A new pool is created only if CA, certificate or proxy change. */
export class PooledKubeConfig extends KubeConfig {
  #pool: Pool | undefined;
  /** Replaced pools that are still closing. */
  readonly #closing = new Set<Pool>();
  /** Fingerprint of the options of the current pool. */
  #fingerprint: string | undefined;
  #access: { readonly readAtMs: number; readonly access: Promise<Access> } | undefined;

  /** Credentials and connections for a request, at most some seconds old. @throws what a credential plugin throws */
  access(nowMs: number): Promise<Access> {
    const known = this.#access;
    if (known !== undefined && nowMs - known.readAtMs < ACCESS_MS) return known.access;
    const access = this.#readAccess();
    this.#access = { readAtMs: nowMs, access };
    access.catch(() => this.forgetAccess(access));
    return access;
  }

  /** Reads the credentials again for the next request. @param access absent: whatever they are; otherwise only if they are still these */
  forgetAccess(access?: Promise<Access>): void {
    if (access === undefined || this.#access?.access === access) this.#access = undefined;
  }

  /** Returns type `none`, so that no further pool is created, as long as the options of the current pool are unchanged. */
  override createDispatcherOptions(cluster: Cluster | null, agentOptions: object): DispatcherOptions {
    const found = super.createDispatcherOptions(cluster, agentOptions);
    const wanted: DispatcherOptions = found.type === 'none' ? { type: 'agent', connect: { keepAlive: true } } : found;
    const fingerprint = fingerprintOf(wanted);
    if (fingerprint === this.#fingerprint) return { type: 'none' };
    this.#fingerprint = fingerprint;
    return wanted;
  }

  /** Replaces a pool, if it is still current, so that the next request opens a new connection. Active requests finish on the old pool. */
  abandonPool(pool: Pool): void {
    if (this.#pool !== pool) return;
    this.#fingerprint = undefined;
    this.#access = undefined;
    this.#replacePool(undefined);
  }

  /** Closes all connections, including those with active requests. */
  async closePool(): Promise<void> {
    this.#fingerprint = undefined;
    this.#access = undefined;
    this.#replacePool(undefined);
    await Promise.all([...this.#closing].map((pool) => pool.destroy()));
  }

  async #readAccess(): Promise<Access> {
    const context = new RequestContext(this.getCurrentCluster()?.server ?? '', HttpMethod.GET);
    await this.applySecurityAuthentication(context);
    const fresh = context.getDispatcher();
    if (fresh !== undefined) this.#replacePool(withoutHttp2(fresh));
    if (this.#pool === undefined) throw new InvariantError('there is no connection pool');
    return { headers: context.getHeaders(), pool: this.#pool };
  }

  /** Closes the old pool once its active requests and watches have ended. */
  #replacePool(next: Pool | undefined): void {
    const old = this.#pool;
    this.#pool = next;
    if (old === undefined) return;
    this.#closing.add(old);
    const closed = (): boolean => this.#closing.delete(old);
    // A pool whose close fails needs no further cleanup.
    old.close().then(closed, closed);
  }
}

/**
 * The same pool restricted to HTTP/1.1. If a request with a body is aborted at the wrong moment, Node's HTTP/2 session can
 * loop in native code forever while its memory grows (seen on 26.10 with undici 8.12, once every few stops under load).
 */
function withoutHttp2(pool: Pool): Pool {
  return pool.compose((dispatch) => (options, handler) => dispatch({ ...options, allowH2: false } as typeof options, handler));
}

/** Loads the credentials. @throws RefusedError SP_CONFIG if no credentials are found, or the file is unreadable or does not contain the context */
export function loadKubeConfig(source: KubeSource): PooledKubeConfig {
  const config = new PooledKubeConfig();
  try {
    if (source.inCluster === true) config.loadFromCluster();
    else if (source.kubeconfig !== undefined) config.loadFromFile(source.kubeconfig);
    else config.loadFromDefault();
  } catch (thrown) {
    const name = source.kubeconfig === undefined ? '' : ` "${source.kubeconfig}"`;
    throw new RefusedError('SP_CONFIG', `the kubeconfig${name} cannot be read: ${whyUnreadable(thrown)}`, { cause: thrown });
  }
  if (source.context !== undefined) {
    if (config.getContextObject(source.context) === null) {
      throw new RefusedError('SP_CONFIG', `the kubeconfig has no context "${source.context}"; kubectl config get-contexts lists them`);
    }
    config.setCurrentContext(source.context);
  }
  const server = config.getCurrentCluster()?.server;
  // client-node falls back to the insecure port that API servers no longer have.
  const isFallback = config.currentContext === 'loaded-context' && server === 'http://localhost:8080';
  if (server === undefined && config.contexts.length + config.clusters.length > 0) {
    throw new RefusedError('SP_CONFIG', 'the kubeconfig has no current context with a cluster; kubectl config use-context sets one');
  }
  if (server === undefined || isFallback) {
    throw new RefusedError(
      'SP_CONFIG',
      'no kubeconfig found, and this is not a pod with a service account; set KUBECONFIG or pass a kubeconfig',
    );
  }
  return config;
}

/** Says nothing of the content: it may have secrets. */
function whyUnreadable(thrown: unknown): string {
  const { errno } = thrown as NodeJS.ErrnoException;
  return errno === undefined ? 'it is not a kubeconfig in YAML or JSON' : getSystemErrorMessage(errno);
}

/** Whether a program provides the credentials of the current user. */
export function hasCredentialPlugin(config: KubeConfig): boolean {
  const user = config.getCurrentUser();
  return user !== null && (isPresent(user.exec) || isPresent(user.authProvider));
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function fingerprintOf(options: DispatcherOptions): string {
  return JSON.stringify(options, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value));
}
