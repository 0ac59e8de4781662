/*
 * Translates failed responses of the API server and transport errors into TransientError and RefusedError. Messages contain
 * only method, path, status and reason: bodies and headers may contain secrets and must not reach a log. The server's own
 * sentence about a refusal is kept apart, for the status of the object that it is about.
 */
import { type ErrorCode, RefusedError, TransientError } from '../errors.ts';

/** The parts of a failed request that an error message may contain. */
export interface FailedRequest {
  readonly method: string;
  readonly path: string;
}

/** A response that is not a success. */
export interface FailedResponse {
  /** HTTP status, or the `code` of a Status object in a watch. */
  readonly status: number;
  /** Parsed body; anything that is not a Status object is ignored. */
  readonly body?: unknown;
  /** Value of the Retry-After header: seconds or an HTTP date. */
  readonly retryAfter?: string | undefined;
  /** Current time in milliseconds since the epoch, to evaluate a Retry-After that is a date. */
  readonly wallMs: number;
}

interface StatusObject {
  readonly reason?: string;
  readonly message?: unknown;
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
 * The error for a response of the API server. Transient: 401 (credentials are rotated), 408, 409 (`SP_KUBE_CONFLICT`),
 * 410 (`SP_KUBE_GONE`), 429, 3xx and 5xx (`SP_KUBE_API`). Refused: 403 (`SP_KUBE_FORBIDDEN`), 404 and writes into a
 * namespace that is being deleted (`SP_KUBE_NOT_FOUND`), every other 4xx (`SP_KUBE_INVALID`).
 */
export function errorOfResponse(request: FailedRequest, response: FailedResponse): TransientError | RefusedError {
  const body = statusObject(response.body);
  const words = wordsOf(body);
  const message = [`${request.method} ${request.path}: ${response.status}`, ...words].join(' ');
  if (response.status === 403 && words.includes('NamespaceTerminating')) return new RefusedError('SP_KUBE_NOT_FOUND', message);
  const refused = REFUSED.get(response.status);
  if (refused !== undefined) return new RefusedError(refused, message, { sentence: sentenceOf(body) });
  const transient = TRANSIENT.get(response.status);
  if (transient === undefined && response.status >= 400 && response.status < 500)
    return new RefusedError('SP_KUBE_INVALID', message, { sentence: sentenceOf(body) });
  const retryAfterMs = retryAfterOf(response) ?? secondsToMs(body?.details?.retryAfterSeconds);
  return new TransientError(transient ?? 'SP_KUBE_API', message, { retryAfterMs });
}

/** The error for a request without a response: connection refused or reset, unknown host, invalid certificate, failed credentials. */
export function errorOfTransport(request: FailedRequest, thrown: unknown): TransientError {
  return new TransientError('SP_KUBE_API', `${request.method} ${request.path}: ${transportReason(thrown)}`, { cause: thrown });
}

/** The error for a request without a response before its deadline. */
export function errorOfDeadline(request: FailedRequest, timeoutMs: number): TransientError {
  return new TransientError('SP_TIMEOUT', `${request.method} ${request.path}: no response within ${timeoutMs} ms`);
}

function transportReason(thrown: unknown): string {
  // fetch throws "fetch failed" with the reason in a chain of causes; AggregateError holds one error per address.
  let current: unknown = thrown;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const code = (current as NodeJS.ErrnoException).code;
    if (typeof code === 'string') return code;
    current = current instanceof AggregateError ? current.errors[0] : current.cause;
  }
  return 'no response';
}

function retryAfterOf(response: FailedResponse): number | undefined {
  if (response.retryAfter === undefined || response.retryAfter === '') return undefined;
  const seconds = Number(response.retryAfter);
  if (Number.isFinite(seconds)) return secondsToMs(seconds);
  const dateMs = Date.parse(response.retryAfter);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - response.wallMs);
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined;
}

/** Reasons and field paths of a Status: single words that contain nothing of the request. */
function wordsOf(body: StatusObject | undefined): readonly string[] {
  const causes = body?.details?.causes ?? [];
  const words: readonly unknown[] = [body?.reason, ...causes.flatMap((cause) => [cause.reason, cause.field])];
  return [...new Set(words)].filter((word): word is string => typeof word === 'string' && /^[A-Za-z][\w.[\]-]{0,100}$/.test(word));
}

const MAX_SENTENCE = 400;

/** The message of a Status on one line. The invalid value itself is left out: it can be long, and secret. */
function sentenceOf(body: StatusObject | undefined): string | undefined {
  if (typeof body?.message !== 'string') return undefined;
  const withoutValues = body.message
    .replaceAll(/Invalid value: "(?:[^"\\]|\\.)*"/g, 'an invalid value')
    .replace(/(Invalid value): [^]*$/, '$1');
  const line = withoutValues.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  if (line === '') return undefined;
  return line.length > MAX_SENTENCE ? `${line.slice(0, MAX_SENTENCE - 1)}…` : line;
}

function statusObject(body: unknown): StatusObject | undefined {
  if (typeof body !== 'object' || body === null || (body as { kind?: unknown }).kind !== 'Status') return undefined;
  return body as StatusObject;
}
