/*
 * The Kubernetes client: sends requests to the API server and returns raw JSON, or a byte stream for a watch. It uses one
 * connection pool, a deadline for every call and a limit on requests per second. All Kubernetes access goes through it.
 */
import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext, type ResponseContext } from '@kubernetes/client-node';
import { type Clock, systemClock } from '../clock.ts';
import { RefusedError, TransientError } from '../errors.ts';
import { withoutTrailing } from '../text.ts';
import { errorOfDeadline, errorOfResponse, errorOfTransport } from './api-error.ts';
import { type KubeSource, loadKubeConfig, type PooledKubeConfig } from './kubeconfig.ts';
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts';

/** HTTP methods of Kubernetes requests. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Content type of a request body; methods other than PATCH send `application/json`. */
export type ContentType =
  | 'application/json'
  | 'application/merge-patch+json'
  | 'application/json-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';

/** A request to the API server. */
export interface KubeRequest {
  readonly method: Method;
  /** Path below the server's address, with escaped segments: see `paths.ts`. */
  readonly path: string;
  /** Query parameters; entries with the value undefined are omitted. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Body, sent as JSON; absent: no body. */
  readonly body?: unknown;
  /** Content type of the body; absent: `application/json`. */
  readonly contentType?: ContentType;
  /** Accept header; absent: `application/json`. */
  readonly accept?: string;
  /** Deadline for reading the whole response (of a stream: its head), in milliseconds; absent: 10 000. */
  readonly timeoutMs?: number;
  /** Bypasses the request limit, for requests that must not be delayed, such as the renewal of a lease. */
  readonly urgent?: boolean;
  readonly signal?: AbortSignal;
}

/** A successful response (2xx). `json` is the body as sent, without dropped or converted fields; undefined if it is empty. */
export interface KubeResponse {
  readonly status: number;
  readonly json: unknown;
}

/** The open response of a watch. The caller must read it to its end or cancel it. */
export interface KubeStream {
  readonly status: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** Measurements of one completed request. */
export interface RequestSample {
  readonly method: Method;
  /** The HTTP status, or `<error>` if there was no response. */
  readonly code: string;
  readonly durationMs: number;
}

/** Options of {@link createKubeClient}. */
export interface KubeClientOptions extends KubeSource {
  /** Version in the user agent `sallyport/<version>`. */
  readonly version: string;
  /** Sustained requests per second; absent: 20. */
  readonly qps?: number;
  /** Maximum burst of requests; absent: 30. */
  readonly burst?: number;
  readonly clock?: Clock;
  /** Called after every request, for `rest_client_requests_total` and durations. Must not throw. */
  readonly onRequest?: (sample: RequestSample) => void;
}

/** Client for one API server. */
export interface KubeClient {
  /** Address of the API server. */
  readonly server: string;
  /** Namespace of the context or of the pod's service account; `default` if neither has one. */
  readonly namespace: string;
  /**
   * Sends a request and reads the whole response.
   * @throws TransientError or RefusedError, see {@link errorOfResponse}; TransientError `SP_TIMEOUT` at the deadline; the reason of
   *   the signal if the caller aborts
   */
  request(request: KubeRequest): Promise<KubeResponse>;
  /** Opens a stream; once its head has arrived only the server or the signal ends it. @throws like {@link KubeClient.request} */
  stream(request: KubeRequest): Promise<KubeStream>;
  /** Closes all connections. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEADLINE = new Error('the deadline has passed');

/** Dependencies of all requests of one client. */
interface Wiring {
  readonly config: PooledKubeConfig;
  readonly server: string;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  readonly onRequest: (sample: RequestSample) => void;
}

/** A client with the credentials that `options` select. @throws RefusedError SP_CONFIG if there are no usable credentials */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const clock = options.clock ?? systemClock;
  const config = loadKubeConfig(options);
  const server = withoutTrailing(config.getCurrentCluster()?.server ?? '', '/');
  const wiring: Wiring = {
    config,
    server,
    userAgent: `sallyport/${options.version}`,
    clock,
    limiter: createRateLimiter({ perSecond: options.qps ?? 20, burst: options.burst ?? 30, clock }),
    onRequest: options.onRequest ?? (() => undefined),
  };
  return {
    server,
    namespace: config.getContextObject(config.currentContext)?.namespace ?? 'default',
    request: (request) => exchange(wiring, request, readJson),
    stream: (request) => exchange(wiring, request, openStream),
    close: () => config.closePool(),
  };
}

/** Reads a successful response. The caller's signal also aborts `lasting` results, such as streams, after the exchange. */
interface Reader<T> {
  readonly lasting: boolean;
  read(response: ResponseContext): Promise<T>;
}

const readJson: Reader<KubeResponse> = {
  lasting: false,
  read: async (response) => {
    const text = await response.body.text();
    return { status: response.httpStatusCode, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  },
};

const openStream: Reader<KubeStream> = {
  lasting: true,
  read: (response) => {
    const body = response.body.stream();
    if (body === null) return Promise.reject(new Error('the response has no body'));
    return Promise.resolve({ status: response.httpStatusCode, body });
  },
};

/** Sends a request and reads a successful response, all before the deadline. */
async function exchange<T>(wiring: Wiring, request: KubeRequest, reader: Reader<T>): Promise<T> {
  const { clock } = wiring;
  const caller = request.signal ?? new AbortController().signal;
  caller.throwIfAborted();
  if (request.urgent !== true) await wiring.limiter.take(caller);
  const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const ending = new AbortController();
  const leave = (): void => ending.abort(caller.reason);
  caller.addEventListener('abort', leave, { once: true });
  const stopTimer = clock.after(timeoutMs, () => ending.abort(DEADLINE));
  const startedMs = clock.nowMs();
  let code = '<error>';
  let kept = false;
  try {
    const response = await send(wiring, request, ending.signal);
    code = String(response.httpStatusCode);
    if (response.httpStatusCode < 200 || response.httpStatusCode > 299) throw await responseError(wiring, request, response);
    const result = await reader.read(response);
    kept = reader.lasting;
    return result;
  } catch (thrown) {
    caller.throwIfAborted();
    if (ending.signal.reason === DEADLINE) throw errorOfDeadline(request, timeoutMs);
    if (thrown instanceof TransientError || thrown instanceof RefusedError) throw thrown;
    throw errorOfTransport(request, thrown);
  } finally {
    stopTimer();
    if (!kept) caller.removeEventListener('abort', leave);
    wiring.onRequest({ method: request.method, code, durationMs: clock.nowMs() - startedMs });
  }
}

async function send(wiring: Wiring, request: KubeRequest, signal: AbortSignal): Promise<ResponseContext> {
  const context = new RequestContext(wiring.server + request.path, HttpMethod[request.method]);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) context.setQueryParam(name, String(value));
  }
  context.setHeaderParam('Accept', request.accept ?? 'application/json');
  context.setHeaderParam('User-Agent', wiring.userAgent);
  if (request.body !== undefined) {
    context.setHeaderParam('Content-Type', request.contentType ?? 'application/json');
    context.setBody(JSON.stringify(request.body));
  }
  // A credential plugin accepts no signal: it is abandoned at the deadline.
  await orAbort(wiring.config.applySecurityAuthentication(context), signal);
  context.setSignal(signal);
  try {
    return await new IsomorphicFetchHttpLibrary().send(context).toPromise();
  } catch (thrown) {
    // No byte arrived before the deadline: the connection may be dead, and further requests on it would time out, too.
    if (signal.reason === DEADLINE) wiring.config.abandonPool(context);
    throw thrown;
  }
}

async function responseError(wiring: Wiring, request: KubeRequest, response: ResponseContext): Promise<Error> {
  const text = await response.body.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON, for example the HTML page of a proxy: only the status is reported.
  }
  return errorOfResponse(request, {
    status: response.httpStatusCode,
    body,
    retryAfter: response.headers['retry-after'],
    wallMs: wiring.clock.wallMs(),
  });
}

function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
