/*
 * Finds the API server and the credentials: from a kubeconfig file, the environment or the pod's service account. The
 * KubeConfig keeps a single connection pool; client-node would create a new connection for every request.
 */
import { type Cluster, type DispatcherOptions, KubeConfig, type RequestContext } from '@kubernetes/client-node';
import { RefusedError } from '../errors.ts';

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

/** A KubeConfig whose requests share one connection pool. A new pool is created only if CA, certificate or proxy change. */
export class PooledKubeConfig extends KubeConfig {
  #pool: Pool | undefined;
  /** Replaced pools that are still closing. */
  readonly #closing = new Set<Pool>();
  /** Fingerprint of the options of the current pool. */
  #fingerprint: string | undefined;

  /** Returns type `none`, so that no further pool is created, as long as the options of the current pool are unchanged. */
  override createDispatcherOptions(cluster: Cluster | null, agentOptions: object): DispatcherOptions {
    const wanted = super.createDispatcherOptions(cluster, agentOptions);
    const fingerprint = fingerprintOf(wanted);
    if (fingerprint === this.#fingerprint) return { type: 'none' };
    this.#fingerprint = fingerprint;
    if (wanted.type === 'none') this.#replacePool(undefined);
    return wanted;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    const fresh = context.getDispatcher();
    if (fresh !== undefined) {
      const pool = withoutHttp2(fresh);
      context.setDispatcher(pool);
      this.#replacePool(pool);
    } else if (this.#pool !== undefined) context.setDispatcher(this.#pool);
  }

  /** Replaces the pool that `context` was sent on, if it is still current, so that the next request opens a new connection. Active requests finish on the old pool. */
  abandonPool(context: RequestContext): void {
    if (this.#pool === undefined || context.getDispatcher() !== this.#pool) return;
    this.#fingerprint = undefined;
    this.#replacePool(undefined);
  }

  /** Closes all connections, including those with active requests. */
  async closePool(): Promise<void> {
    this.#fingerprint = undefined;
    this.#replacePool(undefined);
    await Promise.all([...this.#closing].map((pool) => pool.destroy()));
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
    throw new RefusedError(
      'SP_CONFIG',
      `the kubeconfig${source.kubeconfig === undefined ? '' : ` "${source.kubeconfig}"`} cannot be read`,
      {
        cause: thrown,
      },
    );
  }
  if (source.context !== undefined) {
    if (config.getContextObject(source.context) === null) {
      throw new RefusedError('SP_CONFIG', `the kubeconfig has no context "${source.context}"; kubectl config get-contexts lists them`);
    }
    config.setCurrentContext(source.context);
  }
  const server = config.getCurrentCluster()?.server;
  // client-node falls back to the insecure port that API servers no longer have.
  if (server === undefined || (config.currentContext === 'loaded-context' && server === 'http://localhost:8080')) {
    throw new RefusedError(
      'SP_CONFIG',
      'no kubeconfig found, and this is not a pod with a service account; set KUBECONFIG or pass a kubeconfig',
    );
  }
  return config;
}

function fingerprintOf(options: DispatcherOptions): string {
  return JSON.stringify(options, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value));
}
