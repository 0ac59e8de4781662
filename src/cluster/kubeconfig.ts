/*
 * Where the API server is and who we are. In: a path and context, or nothing (environment, then the pod's own account).
 * Out: a KubeConfig that keeps ONE pool of connections instead of a new one for every request. Called by the client.
 */
import { type Cluster, type DispatcherOptions, KubeConfig, type RequestContext } from '@kubernetes/client-node';
import { RefusedError } from '../errors.ts';

/** Which credentials to use. */
export interface KubeSource {
  /** Path of a kubeconfig file. Absent: `$KUBECONFIG`, `~/.kube/config`, then the pod's own service account. */
  readonly kubeconfig?: string;
  /** Name of a context in it; absent: its current context. */
  readonly context?: string;
  /** Use the pod's own service account and nothing else. */
  readonly inCluster?: boolean;
}

type Pool = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/** A KubeConfig whose requests share one pool of connections; a new pool only when CA, certificate or proxy change. */
export class PooledKubeConfig extends KubeConfig {
  #pool: Pool | undefined;
  readonly #leaving = new Set<Pool>();
  #made: string | undefined;

  /** Says `none`, so that no further pool is built, while the one at hand was made from the same options. */
  override createDispatcherOptions(cluster: Cluster | null, agentOptions: object): DispatcherOptions {
    const wanted = super.createDispatcherOptions(cluster, agentOptions);
    const made = fingerprint(wanted);
    if (made === this.#made) return { type: 'none' };
    this.#made = made;
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

  /** Lets the next request begin on a new connection, if `context` went out on the pool still in use. What runs on the old one may end there. */
  abandonPool(context: RequestContext): void {
    if (this.#pool === undefined || context.getDispatcher() !== this.#pool) return;
    this.#made = undefined;
    this.#replacePool(undefined);
  }

  /** Ends every connection, also those with requests on them. */
  async closePool(): Promise<void> {
    this.#made = undefined;
    this.#replacePool(undefined);
    await Promise.all([...this.#leaving].map((pool) => pool.destroy()));
  }

  /** Lets the requests and watches on the old pool end by themselves. */
  #replacePool(next: Pool | undefined): void {
    const old = this.#pool;
    this.#pool = next;
    if (old === undefined) return;
    this.#leaving.add(old);
    const left = (): boolean => this.#leaving.delete(old);
    // A pool that fails to close has nothing left to close.
    old.close().then(left, left);
  }
}

/**
 * The same pool, speaking HTTP/1.1 only. When a request with a body is aborted at the wrong moment, Node's HTTP/2 session
 * can spin in native code for ever while its memory grows (seen on 26.10 with undici 8.12: every few stops under load).
 */
function withoutHttp2(pool: Pool): Pool {
  return pool.compose((dispatch) => (options, handler) => dispatch({ ...options, allowH2: false } as typeof options, handler));
}

/** Reads the credentials. @throws RefusedError SP_CONFIG when there are none, the file is unreadable or the context is not in it. */
export function loadKubeConfig(source: KubeSource): PooledKubeConfig {
  const config = new PooledKubeConfig();
  try {
    if (source.inCluster === true) config.loadFromCluster();
    else if (source.kubeconfig !== undefined) config.loadFromFile(source.kubeconfig);
    else config.loadFromDefault();
  } catch (thrown) {
    throw new RefusedError('SP_CONFIG', `the kubeconfig${source.kubeconfig === undefined ? '' : ` ${source.kubeconfig}`} cannot be read`, {
      cause: thrown,
    });
  }
  if (source.context !== undefined) {
    if (config.getContextObject(source.context) === null) {
      throw new RefusedError('SP_CONFIG', `the kubeconfig has no context "${source.context}"`);
    }
    config.setCurrentContext(source.context);
  }
  const server = config.getCurrentCluster()?.server;
  // The client's last resort, an unencrypted port of ten years ago, is nobody's API server.
  if (server === undefined || (config.currentContext === 'loaded-context' && server === 'http://localhost:8080')) {
    throw new RefusedError('SP_CONFIG', 'no kubeconfig found, and this is not a pod with a service account');
  }
  return config;
}

function fingerprint(options: DispatcherOptions): string {
  return JSON.stringify(options, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value));
}
