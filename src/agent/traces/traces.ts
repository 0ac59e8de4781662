/*
 * Traces of one agent: a span of kind SERVER for each sampled request. Its parent is that of the client; it is the parent of what the
 * application does. The build makes this module a separate file, so that an agent without traces does not hold it in memory.
 */
import type { Clock } from '../../clock.ts';
import { type HeaderList, selectHeaders } from '../../http/header-list.ts';
import type { ForwardHead } from '../../http/heads.ts';
import type { LIMITS } from '../../limits/agent-limits.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type TraceSource, tracesUrl } from '../../traces/otlp.ts';
import { createPoster } from '../../traces/post.ts';
import { createSampler, type Sampler, type SamplerOptions } from '../../traces/sampler.ts';
import { SpanExporter } from '../../traces/span-exporter.ts';
import { formatTraceParent, newSpanId, newTraceId, parentOf, type SpanContext, traceStateOf } from '../../traces/trace-context.ts';
import type { ExchangeObserver, ExchangeRecord } from '../exchange/exchange-record.ts';
import type { ExchangeTracer } from '../exchange/exchange-tracer.ts';
import { spanJson } from './span-json.ts';

/** Where traces go, and which. */
export interface TraceOptions extends SamplerOptions {
  /** URL of the collector; `/v1/traces` is added to its path. Set by the operator. */
  readonly endpoint: string;
  readonly source: TraceSource;
}

/** The agent around the traces. */
export interface TraceHost {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Those of the agent: hits of a copy in a separate file would not reach its metrics. */
  readonly limits: typeof LIMITS;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onSpans: (result: 'exported' | 'dropped', count: number) => void;
}

interface Span {
  readonly context: SpanContext;
  readonly parent: SpanContext | undefined;
  /** Of the client; empty: none. */
  readonly traceState: string;
}

/** Makes and exports the spans of one agent. */
export class Traces implements ExchangeTracer {
  readonly #host: TraceHost;
  readonly #sampler: Sampler;
  readonly #exporter: SpanExporter;
  /** Of forwarded requests, by the record of their exchange, which is used for one request at a time. */
  readonly #spans = new WeakMap<ExchangeRecord, Span>();

  constructor(options: TraceOptions, host: TraceHost) {
    this.#host = host;
    this.#sampler = createSampler(options);
    const poster = createPoster(tracesUrl(options.endpoint), host.limits);
    this.#exporter = new SpanExporter({ ...host, poster, source: options.source });
  }

  forward(record: ExchangeRecord, head: ForwardHead): ForwardHead {
    const span = this.#begin(head.headers);
    this.#spans.set(record, span);
    if (!span.context.isSampled) return head;
    const headers = selectHeaders(head.headers, (name) => name !== 'traceparent' && (name !== 'tracestate' || span.parent !== undefined));
    headers.push('traceparent', formatTraceParent(span.context));
    return { ...head, headers };
  }

  /** `next`, which also gets each span when its exchange is over. */
  observe(next: ExchangeObserver): ExchangeObserver {
    return {
      onExchange: (record) => {
        next.onExchange(record);
        this.#end(record);
      },
    };
  }

  /** Exports what is queued, for at most `ms` milliseconds. */
  stop(ms: number): Promise<void> {
    return this.#exporter.stop(ms);
  }

  #begin(headers: HeaderList): Span {
    const parent = parentOf(headers);
    const traceId = parent?.traceId ?? newTraceId();
    const isSampled = this.#sampler(traceId, parent);
    const traceState = parent === undefined || !isSampled ? '' : traceStateOf(headers);
    return { context: { traceId, spanId: isSampled ? newSpanId() : '', isSampled }, parent, traceState };
  }

  #end(record: ExchangeRecord): void {
    const forwarded = this.#spans.get(record);
    if (forwarded !== undefined) this.#spans.delete(record);
    // Nothing is known of what is not a request.
    if (record.method === '') return;
    const span = forwarded ?? this.#begin(record.headers);
    if (!span.context.isSampled) return;
    const { clock, limits } = this.#host;
    const endMs = clock.wallMs();
    const startMs = record.startMs === 0 ? endMs : endMs - (clock.nowMs() - record.startMs);
    const facts = { context: span.context, parentSpanId: span.parent?.spanId, traceState: span.traceState, startMs, endMs };
    this.#exporter.add(spanJson(record, facts, limits.spanField.value));
  }
}
