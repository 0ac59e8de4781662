/*
 * The Kubernetes client: sends requests to the API server and returns raw JSON, or a byte stream for a watch. It uses one
 * connection pool, a deadline for every call and a limit on requests per second. All Kubernetes access goes through it.
 */
import { type Clock, systemClock } from '../clock.ts';
import { RefusedError, TransientError } from '../errors.ts';
import { withoutTrailing } from '../text.ts';
import { errorOfDeadline, errorOfResponse, errorOfTransport } from './api-error.ts';
import { type Access, hasCredentialPlugin, type KubeSource, loadKubeConfig, type PooledKubeConfig } from './kubeconfig.ts';
import { createRequestBudget, type Lane, type RequestBudget } from './request-budget.ts';

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
  /** Share of the request limit that it uses; absent: `default`. `urgent` bypasses the limit: the renewal of a lease must not be delayed. */
  readonly lane?: Lane | 'urgent';
  /** The response is not read beyond its head: `json` is undefined. */
  readonly discard?: boolean;
  /** Asked immediately before it is sent, after any wait: false: the request fails with TransientError SP_KUBE_FENCED. */
  readonly mayStart?: () => boolean;
  readonly signal?: AbortSignal;
}

/** A successful response (2xx). `json` is the body as sent, without dropped or converted fields; undefined if it is empty or discarded. */
export interface KubeResponse {
  readonly status: number;
  readonly json: unknown;
}

/** The open response of a watch. The caller must read it to its end, or abort its signal. */
export interface KubeStream {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Measurements of one completed request. */
export interface RequestSample {
  readonly method: Method;
  /** The HTTP status, or `<error>` if there was no response. */
  readonly code: string;
  readonly durationMs: number;
}

/** A user that the API server treats requests as, if the credentials allow it. */
export interface Impersonation {
  readonly user: string;
  readonly group?: string;
}

/** Options of {@link createKubeClient}. */
export interface KubeClientOptions extends KubeSource {
  /** Version in the user agent `sallyport/<version>`. */
  readonly version: string;
  /** Sustained requests per second; absent: 20. */
  readonly qps?: number;
  /** Maximum burst of requests; absent: 30. */
  readonly burst?: number;
  /** Whom the requests are sent for; absent: the user of the credentials. */
  readonly impersonate?: Impersonation;
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
  /** A program provides the credentials, and may ask a person first; absent: none does. */
  readonly hasCredentialPlugin?: boolean;
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
  readonly origin: string;
  /** Path of the server's address, without a slash at its end. */
  readonly prefix: string;
  readonly userAgent: string;
  readonly impersonate: Impersonation | undefined;
  readonly clock: Clock;
  readonly budget: RequestBudget;
  readonly onRequest: (sample: RequestSample) => void;
}

/** A client with the credentials that `options` select. @throws RefusedError SP_CONFIG if there are no usable credentials */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  const clock = options.clock ?? systemClock;
  const config = loadKubeConfig(options);
  const server = withoutTrailing(config.getCurrentCluster()?.server ?? '', '/');
  const wiring: Wiring = {
    config,
    ...addressOf(server),
    userAgent: `sallyport/${options.version}`,
    impersonate: options.impersonate,
    clock,
    budget: createRequestBudget({ perSecond: options.qps ?? 20, burst: options.burst ?? 30, clock }),
    onRequest: options.onRequest ?? (() => undefined),
  };
  return {
    server,
    namespace: config.getContextObject(config.currentContext)?.namespace ?? 'default',
    hasCredentialPlugin: hasCredentialPlugin(config),
    request: (request) => exchange(wiring, request, request.discard === true ? discardBody : readJson),
    stream: (request) => exchange(wiring, request, openStream),
    close: () => config.closePool(),
  };
}

/** @throws RefusedError SP_CONFIG if the server's address is not a URL */
function addressOf(server: string): Pick<Wiring, 'origin' | 'prefix'> {
  const url = URL.parse(server);
  if (url === null) throw new RefusedError('SP_CONFIG', `the address of the API server is not a URL: ${JSON.stringify(server)}`);
  return { origin: url.origin, prefix: withoutTrailing(url.pathname, '/') };
}

/** The response of the HTTP client. */
type Response = Awaited<ReturnType<Access['pool']['request']>>;

/** Reads a successful response. The caller's signal also aborts `lasting` results, such as streams, after the exchange. */
interface Reader<T> {
  readonly lasting: boolean;
  read(response: Response): Promise<T>;
}

const readJson: Reader<KubeResponse> = {
  lasting: false,
  read: async ({ statusCode, body }) => {
    const text = await body.text();
    return { status: statusCode, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
  },
};

const discardBody: Reader<KubeResponse> = {
  lasting: false,
  read: async ({ statusCode, body }) => {
    await body.dump();
    return { status: statusCode, json: undefined };
  },
};

const openStream: Reader<KubeStream> = {
  lasting: true,
  read: ({ statusCode, body }) => Promise.resolve({ status: statusCode, body: body as AsyncIterable<Uint8Array> }),
};

/** Sends a request and reads a successful response, all before the deadline. */
async function exchange<T>(wiring: Wiring, request: KubeRequest, reader: Reader<T>): Promise<T> {
  const { clock } = wiring;
  const caller = request.signal ?? new AbortController().signal;
  caller.throwIfAborted();
  if (request.lane !== 'urgent') await wiring.budget.take(request.lane ?? 'default', caller);
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
    code = String(response.statusCode);
    if (response.statusCode < 200 || response.statusCode > 299) throw await responseError(wiring, request, response);
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

async function send(wiring: Wiring, request: KubeRequest, signal: AbortSignal): Promise<Response> {
  const { config, clock } = wiring;
  // A credential plugin accepts no signal: it is abandoned at the deadline.
  const { headers, pool } = await orAbort(config.access(clock.nowMs()), signal);
  if (request.mayStart?.() === false) throw new TransientError('SP_KUBE_FENCED', `${request.method} ${request.path}: not sent`);
  try {
    const sent = pool.request({
      origin: wiring.origin,
      path: `${wiring.prefix}${request.path}${queryOf(request)}`,
      method: request.method,
      headers: {
        ...headers,
        ...impersonationHeaders(wiring.impersonate),
        accept: request.accept ?? 'application/json',
        'user-agent': wiring.userAgent,
        ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
      },
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      signal,
      // A watch is silent for as long as nothing changes; every other response has a deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    // Undici rejects an aborted request only once its connection is open, or could not be opened.
    const response = await orAbort(sent, signal);
    if (response.statusCode === 401) config.forgetAccess();
    return response;
  } catch (thrown) {
    // No byte arrived before the deadline: the connection may be dead, and further requests on it would time out, too.
    if (signal.reason === DEADLINE) config.abandonPool(pool);
    throw thrown;
  }
}

function impersonationHeaders(as: Impersonation | undefined): Readonly<Record<string, string>> {
  if (as === undefined) return {};
  return { 'impersonate-user': as.user, ...(as.group === undefined ? {} : { 'impersonate-group': as.group }) };
}

function queryOf({ query = {} }: KubeRequest): string {
  const parameters = Object.entries(query).filter(([, value]) => value !== undefined);
  return parameters.length === 0 ? '' : `?${parameters.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}

async function responseError(wiring: Wiring, request: KubeRequest, response: Response): Promise<Error> {
  const text = await response.body.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON, for example the HTML page of a proxy: only the status is reported.
  }
  const retryAfter = response.headers['retry-after'];
  return errorOfResponse(request, {
    status: response.statusCode,
    body,
    retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
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
