/*
 * The one way to the API server. In: method, path, query and JSON body. Out: status and raw JSON, or a stream of bytes
 * for a watch; failures as our own errors. One pool of connections, a deadline on every call, a limit on requests per
 * second. Everything in this room, and through it the controller, webhook and CLI, talks to Kubernetes by this.
 */
import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext, type ResponseContext } from '@kubernetes/client-node';
import { type Clock, systemClock } from '../clock.ts';
import { RefusedError, TransientError } from '../errors.ts';
import { errorOfAnswer, errorOfDeadline, errorOfTransport } from './api-error.ts';
import { type KubeSource, loadKubeConfig, type PooledKubeConfig } from './kubeconfig.ts';
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Body formats of a PATCH; other methods send `application/json`. */
export type ContentType =
  | 'application/json'
  | 'application/merge-patch+json'
  | 'application/json-patch+json'
  | 'application/strategic-merge-patch+json'
  | 'application/apply-patch+yaml';

export interface KubeRequest {
  readonly method: Method;
  /** Below the server's address, segments escaped: see `paths.ts`. */
  readonly path: string;
  /** Entries whose value is undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; absent: `application/json`. */
  readonly contentType?: ContentType;
  /** Absent: `application/json`. */
  readonly accept?: string;
  /** Until the whole answer is read (of a stream: until its head is there), in milliseconds; absent: 10 000. */
  readonly timeoutMs?: number;
  /** Does not wait for the request limit: for what must not be late, such as the renewal of a lease. */
  readonly urgent?: boolean;
  readonly signal?: AbortSignal;
}

/** A success (2xx). `json` is what the server sent, nothing dropped or converted; undefined when the body is empty. */
export interface KubeResponse {
  readonly status: number;
  readonly json: unknown;
}

/** The open answer of a watch. Must be read to its end or cancelled. */
export interface KubeStream {
  readonly status: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** One request that ended. */
export interface RequestSample {
  readonly method: Method;
  /** The HTTP status, or `<error>` when there was no answer. */
  readonly code: string;
  readonly durationMs: number;
}

export interface KubeClientOptions extends KubeSource {
  /** The product's version, for the user agent `sallyport/<version>`. */
  readonly version: string;
  /** Requests per second in the long run; absent: 20. */
  readonly qps?: number;
  /** Requests at once after a pause; absent: 30. */
  readonly burst?: number;
  readonly clock?: Clock;
  /** Told of every request: `rest_client_requests_total` and its durations. Must not throw. */
  readonly onRequest?: (sample: RequestSample) => void;
}

export interface KubeClient {
  /** Address of the API server. */
  readonly server: string;
  /** Namespace of the context or of the pod's account; `default` when neither says. */
  readonly namespace: string;
  /** One request, read to its end. @throws TransientError and RefusedError as {@link errorOfAnswer} says, `SP_TIMEOUT` at the
   *  deadline, and the signal's own reason when the caller aborts. */
  request(request: KubeRequest): Promise<KubeResponse>;
  /** Opens a stream; after its head only the signal ends it. @throws as {@link KubeClient.request} */
  stream(request: KubeRequest): Promise<KubeStream>;
  /** Ends all connections. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const LATE = new Error('the deadline has passed');

interface Wiring {
  readonly config: PooledKubeConfig;
  readonly server: string;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  readonly onRequest: (sample: RequestSample) => void;
}

/** A client on the credentials that `options` name. @throws RefusedError SP_CONFIG when there are none that can be used. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const clock = options.clock ?? systemClock;
  const config = loadKubeConfig(options);
  const server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
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

/** What a success is read into. `lasting` results stay bound to the caller's signal after the exchange. */
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
    if (body === null) return Promise.reject(new Error('the answer has no body'));
    return Promise.resolve({ status: response.httpStatusCode, body });
  },
};

/** Sends, and hands a success to the reader while the deadline still runs. */
async function exchange<T>(wiring: Wiring, request: KubeRequest, reader: Reader<T>): Promise<T> {
  const { clock } = wiring;
  const caller = request.signal ?? new AbortController().signal;
  caller.throwIfAborted();
  if (request.urgent !== true) await wiring.limiter.take(caller);
  const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const ending = new AbortController();
  const leave = (): void => ending.abort(caller.reason);
  caller.addEventListener('abort', leave, { once: true });
  const stopTimer = clock.after(timeoutMs, () => ending.abort(LATE));
  const startedMs = clock.nowMs();
  let code = '<error>';
  let kept = false;
  try {
    const response = await send(wiring, request, ending.signal);
    code = String(response.httpStatusCode);
    if (response.httpStatusCode < 200 || response.httpStatusCode > 299) throw await answerError(wiring, request, response);
    const result = await reader.read(response);
    kept = reader.lasting;
    return result;
  } catch (thrown) {
    caller.throwIfAborted();
    if (ending.signal.reason === LATE) throw errorOfDeadline(request, timeoutMs);
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
  // A credential plugin takes no signal: it is left behind when the deadline comes.
  await orAbort(wiring.config.applySecurityAuthentication(context), signal);
  context.setSignal(signal);
  try {
    return await new IsomorphicFetchHttpLibrary().send(context).toPromise();
  } catch (thrown) {
    // Not a byte in all that time: the connection may be dead without a word, and would take the next requests with it.
    if (signal.reason === LATE) wiring.config.abandonPool(context);
    throw thrown;
  }
}

async function answerError(wiring: Wiring, request: KubeRequest, response: ResponseContext): Promise<Error> {
  const text = await response.body.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's HTML page: the status alone has to do.
  }
  return errorOfAnswer(request, {
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
