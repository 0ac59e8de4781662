/*
 * The TLS server that API servers call with an AdmissionReview at `POST /mutate` and `POST /validate`. It responds with an
 * AdmissionReview, or with an HTTP error, which the API server handles by its failurePolicy. The certificate can be replaced
 * while the server runs.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureVersion } from 'node:tls';
import { RefusedError } from '../errors.ts';
import { limitConnections } from '../ops-server/limit-connections.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import { type AdmissionRequest, type AdmissionResponse, parseReview, toReview } from './admission.ts';
import type { KeyPair } from './certs/issue.ts';
import { heapBytes, SharedBytes } from './shared-bytes.ts';

/** Responds to one review. Throws only because of a bug. */
export type Reviewer = (request: AdmissionRequest) => AdmissionResponse | Promise<AdmissionResponse>;

/** Options of {@link startAdmissionServer}. */
export interface ServerOptions {
  readonly host: string;
  /** Port to listen on; 0: any free port. */
  readonly port: number;
  /** Reviewers by path, e.g. `/mutate`. */
  readonly reviewers: Readonly<Record<string, Reviewer>>;
  readonly tlsMinVersion: SecureVersion;
  readonly metrics?: Pick<WebhookMetrics, 'onReview'>;
  readonly logger: ReviewLogger;
  /** Longest wait for memory that other requests use, in milliseconds; absent: 3 seconds. */
  readonly memoryWaitMs?: number;
}

/** What all requests share. */
interface Context extends ServerOptions {
  readonly read: SharedBytes;
  readonly reviewed: SharedBytes;
}

/** The levels at which the server logs. */
export type ReviewLogger = Readonly<Record<'debug' | 'info' | 'error', (fields: object, message: string) => void>>;

/** The running server. */
export interface AdmissionServer {
  readonly port: number;
  /** Sets the certificate for new connections; before the first call every handshake fails. */
  readonly serve: (serving: KeyPair) => void;
  /** Stops accepting connections, waits up to 5 s for open requests, then closes. */
  readonly close: () => Promise<void>;
}

/** An object and its previous version, each as large as etcd stores, and the JSON around them. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Bodies of all requests that are being read or reviewed. What waits for it is not read. */
const READ_BYTES = 16 * 1024 * 1024;
/** Heap of all reviews, about half of that of the thread. */
const REVIEWED_BYTES = 48 * 1024 * 1024;
/** Longest wait for either, in milliseconds. API servers wait for a review for 10 s by default. */
const MEMORY_WAIT_MS = 3_000;
const DRAIN_MS = 5_000;
const MAX_CONNECTIONS = 512;

/** The HTTP error that a review ends with. */
export class HttpError extends Error {
  override readonly name: string = 'HttpError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Starts listening. @throws the system error if the port is not available */
export async function startAdmissionServer(options: ServerOptions): Promise<AdmissionServer> {
  const limits = { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 65_000, maxHeaderSize: 16 * 1024 };
  const { memoryWaitMs = MEMORY_WAIT_MS } = options;
  const context = { ...options, read: new SharedBytes(READ_BYTES, memoryWaitMs), reviewed: new SharedBytes(REVIEWED_BYTES, memoryWaitMs) };
  const server = createServer({ ...limits, minVersion: options.tlsMinVersion }, (request, response) => {
    void handle(context, request, response);
  });
  limitConnections(server, MAX_CONNECTIONS);
  server.on('tlsClientError', (error) => options.logger.debug({ err: error }, 'TLS handshake failed'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    serve: ({ certPem, keyPem }) => server.setSecureContext({ cert: certPem, key: keyPem, minVersion: options.tlsMinVersion }),
    close: () => closeServer(server),
  };
}

async function handle(options: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = performance.now();
  const webhook = URL.parse(request.url ?? '/', 'https://webhook')?.pathname ?? '';
  const known = Object.hasOwn(options.reviewers, webhook) ? webhook : 'unknown';
  const reply = await review(options, request, webhook);
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    'content-type': reply.status === 200 ? 'application/json' : 'text/plain; charset=utf-8',
    'content-length': body.length,
    'x-content-type-options': 'nosniff',
    ...(request.complete ? {} : { connection: 'close' }),
  });
  response.end(body);
  // An API server with tracing sends its trace context.
  const { traceparent } = request.headers;
  options.metrics?.onReview({
    webhook: known,
    code: reply.status,
    result: reply.result,
    durationMs: performance.now() - startedMs,
    ...(typeof traceparent === 'string' && { traceParent: traceparent }),
  });
}

interface HttpReply {
  readonly status: number;
  readonly body: string;
  readonly result: 'allowed' | 'patched' | 'denied' | 'error';
}

async function review(options: Context, request: IncomingMessage, webhook: string): Promise<HttpReply> {
  try {
    const reviewer = Object.hasOwn(options.reviewers, webhook) ? options.reviewers[webhook] : undefined;
    if (reviewer === undefined) throw new HttpError(404, 'not found');
    if (request.method !== 'POST') throw new HttpError(405, 'only POST is allowed');
    const type = request.headers['content-type']?.split(';')[0]?.trim();
    if (type !== 'application/json') throw new HttpError(415, 'only application/json is accepted');
    return await holding(options.read, bytesToRead(request), async () => {
      const body = await readBody(request);
      return holding(options.reviewed, heapBytes(body), async () => {
        const admission = parseReview(parseJson(body.toString('utf8')));
        const reply = await reviewer(admission);
        logReview(options.logger, webhook, admission, reply);
        const result = !reply.allowed ? 'denied' : (reply.patch ?? []).length > 0 ? 'patched' : 'allowed';
        return { status: 200, body: JSON.stringify(toReview(admission.uid, reply)), result };
      });
    });
  } catch (error) {
    if (error instanceof HttpError) return { status: error.status, body: `${error.message}\n`, result: 'error' };
    if (error instanceof RefusedError) return { status: 400, body: `${error.message}\n`, result: 'error' };
    options.logger.error({ err: error, webhook }, 'bug in the webhook');
    return { status: 500, body: 'internal error\n', result: 'error' };
  }
}

function logReview(logger: ReviewLogger, webhook: string, request: AdmissionRequest, reply: AdmissionResponse): void {
  const { object } = request;
  const name = object?.metadata?.name ?? object?.metadata?.['generateName'];
  const fields = { webhook, kind: object?.kind, namespace: request.namespace, name, dryRun: request.isDryRun };
  if (!reply.allowed) logger.info({ ...fields, reason: reply.message }, 'denied');
  else if ((reply.patch ?? []).length > 0) logger.info(fields, 'agent injected');
  else logger.debug(fields, 'allowed');
}

/** Does the work while it holds the bytes. @throws HttpError 413 or 503 if it cannot have them */
async function holding(memory: SharedBytes, bytes: number, work: () => Promise<HttpReply>): Promise<HttpReply> {
  if (!memory.canHold(bytes)) throw new HttpError(413, 'the review takes too much memory');
  if (!(await memory.take(bytes))) throw new HttpError(503, 'other reviews take too much memory');
  try {
    return await work();
  } finally {
    memory.release(bytes);
  }
}

function bytesToRead({ headers }: IncomingMessage): number {
  const announced = Number(headers['content-length'] ?? MAX_BODY_BYTES);
  if (announced > MAX_BODY_BYTES) throw new HttpError(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
  return announced;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) break;
      chunks.push(chunk);
    }
  } catch {
    throw new HttpError(400, 'the body is incomplete');
  }
  if (bytes > MAX_BODY_BYTES) throw new HttpError(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
  return Buffer.concat(chunks);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RefusedError('SP_KUBE_INVALID', 'the body is not JSON', { cause });
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
