/*
 * Exports spans in batches, in the background. The queue is limited in spans and in bytes; what does not fit, what a collector refuses and
 * what cannot be sent in a few attempts is dropped and counted.
 */
import type { LIMITS } from '../limits/agent-limits.ts';
import { BoundedList, ByteBudget } from '../limits/containers.ts';
import { pauseFor, startDeadline, startTimer } from '../limits/timers.ts';
import type { Logger } from '../telemetry/logger.ts';
import { exportBody, type TraceSource } from './otlp.ts';
import type { Poster, PostResult } from './post.ts';

/** Parts of an exporter. */
export interface SpanExporterOptions {
  readonly poster: Poster;
  readonly source: TraceSource;
  readonly limits: typeof LIMITS;
  readonly logger: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onSpans: (result: 'exported' | 'dropped', count: number) => void;
}

/** Statuses after which the specification of OTLP allows another attempt. */
const RETRYABLE: readonly number[] = [429, 502, 503, 504];

/** What became of one attempt. */
type Attempt =
  | { readonly kind: 'done'; readonly rejected: number }
  | { readonly kind: 'again' | 'never'; readonly reason: string; readonly afterMs: number };

/** Exports the spans of one agent. */
export class SpanExporter {
  readonly #options: SpanExporterOptions;
  readonly #queue: BoundedList<string>;
  readonly #budget: ByteBudget;
  readonly #stopping = new AbortController();
  #cancelTimer: (() => void) | undefined;
  #exporting: Promise<void> | undefined;
  /** Monotonic milliseconds after which nothing is sent any more; undefined: the agent runs. */
  #endMs: number | undefined;
  #problem = '';

  constructor(options: SpanExporterOptions) {
    this.#options = options;
    this.#queue = new BoundedList(options.limits.queuedSpans);
    this.#budget = new ByteBudget(options.limits.queuedSpanBytes);
  }

  /** Queues a span. @param span of `spanJson` */
  add(span: string): void {
    const bytes = Buffer.byteLength(span);
    if (!this.#budget.reserve(bytes)) {
      this.#options.onSpans('dropped', 1);
      return;
    }
    if (!this.#queue.push(span)) {
      this.#budget.release(bytes);
      this.#options.onSpans('dropped', 1);
      return;
    }
    const { limits } = this.#options;
    if (this.#queue.length >= limits.spanBatch.value) this.#start();
    else if (this.#exporting === undefined) this.#cancelTimer ??= startTimer(limits.spanDelay, () => this.#start());
  }

  /** Exports what is queued, for at most `ms` milliseconds, and drops the rest. To be called once. */
  async stop(ms: number): Promise<void> {
    const { limits, poster } = this.#options;
    this.#endMs = performance.now() + ms;
    this.#stopping.abort();
    // An export that has begun before has a longer deadline.
    const onOver = (): void => {
      // A timer may be a fraction of a millisecond early by the clock.
      this.#endMs = 0;
      poster.close();
    };
    const cancel = startDeadline(limits.spanFlushTime, onOver, { ms });
    await this.#exporting;
    this.#start();
    await this.#exporting;
    cancel();
    const lost = this.#queue.length;
    if (lost > 0) this.#options.onSpans('dropped', lost);
    poster.close();
  }

  #start(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#queue.length === 0) return;
    this.#exporting ??= this.#exportAll().finally(() => {
      this.#exporting = undefined;
      if (this.#queue.length > 0 && this.#endMs === undefined)
        this.#cancelTimer ??= startTimer(this.#options.limits.spanDelay, () => this.#start());
    });
  }

  /** Until fewer spans wait than a batch has; all of them when the agent stops. */
  async #exportAll(): Promise<void> {
    const { limits } = this.#options;
    do {
      if (this.#remainingMs() <= 0) return;
      await this.#exportBatch(this.#take(limits.spanBatch.value));
    } while (this.#queue.length >= limits.spanBatch.value || (this.#endMs !== undefined && this.#queue.length > 0));
  }

  async #exportBatch(spans: readonly string[]): Promise<void> {
    const { limits, onSpans, random, source } = this.#options;
    const body = exportBody(source, spans);
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#attempt(body, spans.length);
      if (result.kind === 'done') {
        onSpans('exported', spans.length - result.rejected);
        if (result.rejected > 0) onSpans('dropped', result.rejected);
        return;
      }
      if (result.kind === 'never' || attempt >= limits.spanExportAttempts.value || this.#endMs !== undefined) {
        if (result.kind === 'again') limits.spanExportAttempts.hit();
        onSpans('dropped', spans.length);
        return;
      }
      const backoffMs = limits.spanExportRetry.value * 2 ** (attempt - 1) * (1 + random());
      await pauseFor(limits.spanExportLongestRetry, Math.max(result.afterMs, backoffMs), this.#stopping.signal);
    }
  }

  async #attempt(body: string, spans: number): Promise<Attempt> {
    const result = await this.#options.poster.post(body, Math.min(this.#options.limits.spanExportTime.value, this.#remainingMs()));
    const attempt = attemptOf(result, spans);
    this.#report(attempt.kind === 'done' ? (attempt.rejected > 0 ? 'the collector rejected spans' : '') : attempt.reason);
    return attempt;
  }

  /** Logs a problem once, and again when it is another one or when it was over. */
  #report(problem: string): void {
    if (problem === this.#problem) return;
    if (problem !== '') this.#options.logger.warn({ reason: problem }, 'spans cannot be exported');
    else this.#options.logger.info({}, 'spans are exported again');
    this.#problem = problem;
  }

  #take(count: number): readonly string[] {
    const length = Math.min(count, this.#queue.length);
    const spans = Array.from({ length }, () => this.#queue.shift() as string);
    this.#budget.release(spans.reduce((sum, span) => sum + Buffer.byteLength(span), 0));
    return spans;
  }

  #remainingMs(): number {
    return this.#endMs === undefined ? Number.POSITIVE_INFINITY : this.#endMs - performance.now();
  }
}

function attemptOf(result: PostResult, spans: number): Attempt {
  if (result.kind === 'failed') return { kind: 'again', reason: result.reason, afterMs: 0 };
  const { status, retryAfter, body } = result;
  if (status >= 200 && status < 300) return { kind: 'done', rejected: Math.min(spans, Math.max(0, rejectedSpans(body))) };
  const seconds = /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : 0;
  return { kind: RETRYABLE.includes(status) ? 'again' : 'never', reason: `HTTP ${status}`, afterMs: seconds * 1000 };
}

/** Of a partial success; a number of 64 bits may be a string. What is not JSON of OTLP rejects nothing. */
function rejectedSpans(body: string): number {
  try {
    const { partialSuccess } = JSON.parse(body) as { readonly partialSuccess?: { readonly rejectedSpans?: unknown } | null };
    return Number(partialSuccess?.rejectedSpans ?? 0) || 0;
  } catch {
    return 0;
  }
}
