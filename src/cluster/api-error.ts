/*
 * From the API server's answer to our own families of faults. In: the HTTP status, the Status object of the body, the
 * Retry-After header, or what the transport threw. Out: TransientError or RefusedError whose message names method, path,
 * code and reason only: bodies and headers may hold secrets and never reach a log or a condition. Called by the client.
 */
import { type ErrorCode, RefusedError, TransientError } from '../errors.ts';

/** The request that failed, as far as a message may tell. */
export interface FailedRequest {
  readonly method: string;
  readonly path: string;
}

/** What is known of an answer that is not a success. */
export interface FailedAnswer {
  /** HTTP status, or the `code` of a Status that came inside a watch. */
  readonly status: number;
  /** Parsed body; anything that is not a Status object is ignored. */
  readonly body?: unknown;
  /** Value of the Retry-After header: seconds or an HTTP date. */
  readonly retryAfter?: string | undefined;
  /** Now, milliseconds since 1970, to read a Retry-After that is a date. */
  readonly wallMs: number;
}

interface StatusObject {
  readonly reason?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly reason?: string; readonly field?: string }[];
  };
}

const TRANSIENT: ReadonlyMap<number, ErrorCode> = new Map([
  [401, 'SP_KUBE_UNAUTHORIZED'],
  [408, 'SP_TIMEOUT'],
  [409, 'SP_KUBE_CONFLICT'],
  [410, 'SP_KUBE_GONE'],
  [429, 'SP_KUBE_API'],
]);
const REFUSED: ReadonlyMap<number, ErrorCode> = new Map([
  [403, 'SP_KUBE_FORBIDDEN'],
  [404, 'SP_KUBE_NOT_FOUND'],
]);

/**
 * The error for an answer of the API server. Transient: 401 (credentials are rotated), 408, 409 (`SP_KUBE_CONFLICT`),
 * 410 (`SP_KUBE_GONE`), 429, 3xx and 5xx (`SP_KUBE_API`). Refused: 403 (`SP_KUBE_FORBIDDEN`), 404 and writes into a
 * namespace that is being deleted (`SP_KUBE_NOT_FOUND`), every other 4xx (`SP_KUBE_INVALID`).
 */
export function errorOfAnswer(request: FailedRequest, answer: FailedAnswer): TransientError | RefusedError {
  const body = statusObject(answer.body);
  const words = wordsOf(body);
  const message = [`${request.method} ${request.path}: ${answer.status}`, ...words].join(' ');
  if (answer.status === 403 && words.includes('NamespaceTerminating')) return new RefusedError('SP_KUBE_NOT_FOUND', message);
  const refused = REFUSED.get(answer.status);
  if (refused !== undefined) return new RefusedError(refused, message);
  const transient = TRANSIENT.get(answer.status);
  if (transient === undefined && answer.status >= 400 && answer.status < 500) return new RefusedError('SP_KUBE_INVALID', message);
  const retryAfterMs = retryAfterOf(answer) ?? secondsToMs(body?.details?.retryAfterSeconds);
  return new TransientError(transient ?? 'SP_KUBE_API', message, { retryAfterMs });
}

/** The error for a request that got no answer: refused connection, reset, name not found, bad certificate, failed credentials. */
export function errorOfTransport(request: FailedRequest, thrown: unknown): TransientError {
  return new TransientError('SP_KUBE_API', `${request.method} ${request.path}: ${transportReason(thrown)}`, { cause: thrown });
}

/** The error for a request that got no answer in time. */
export function errorOfDeadline(request: FailedRequest, timeoutMs: number): TransientError {
  return new TransientError('SP_TIMEOUT', `${request.method} ${request.path}: no answer within ${timeoutMs} ms`);
}

function transportReason(thrown: unknown): string {
  // fetch says "fetch failed" and keeps what happened in a chain of causes; AggregateError keeps one per address.
  let current: unknown = thrown;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const code = (current as NodeJS.ErrnoException).code;
    if (typeof code === 'string') return code;
    current = current instanceof AggregateError ? current.errors[0] : current.cause;
  }
  return 'no answer';
}

function retryAfterOf(answer: FailedAnswer): number | undefined {
  if (answer.retryAfter === undefined || answer.retryAfter === '') return undefined;
  const seconds = Number(answer.retryAfter);
  if (Number.isFinite(seconds)) return secondsToMs(seconds);
  const dateMs = Date.parse(answer.retryAfter);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - answer.wallMs);
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined;
}

/** Reasons and field paths of a Status: single words that quote nothing of the request. */
function wordsOf(body: StatusObject | undefined): readonly string[] {
  const causes = body?.details?.causes ?? [];
  const words: readonly unknown[] = [body?.reason, ...causes.flatMap((cause) => [cause.reason, cause.field])];
  return [...new Set(words)].filter((word): word is string => typeof word === 'string' && /^[A-Za-z][\w.[\]-]{0,100}$/.test(word));
}

function statusObject(body: unknown): StatusObject | undefined {
  if (typeof body !== 'object' || body === null || (body as { kind?: unknown }).kind !== 'Status') return undefined;
  return body as StatusObject;
}
