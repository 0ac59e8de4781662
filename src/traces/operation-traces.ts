/*
 * Traces of the controller's work. The build makes this module a separate file, so that a controller without traces does not load it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../clock.ts';
import type { LIMITS } from '../limits/agent-limits.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Attribute, cutAttribute, ERROR_STATUS, nanosOf, type TraceSource, tracesUrl } from './otlp.ts';
import { createPoster } from './post.ts';
import { createSampler, type Sampler, type SamplerOptions } from './sampler.ts';
import { SpanExporter } from './span-exporter.ts';
import { newSpanId, newTraceId, parentOf, type SpanContext } from './trace-context.ts';
import type { SetAttribute, SpanDescription, Tracer } from './tracer.ts';

/** Where traces go, which, and what they are part of. */
export interface OperationTracesOptions extends SamplerOptions {
  /** URL of the collector; `/v1/traces` is added to its path. */
  readonly endpoint: string;
  readonly source: TraceSource;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Those of agents: queue and exporter are the same. */
  readonly limits: typeof LIMITS;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly onSpans: (result: 'exported' | 'dropped', count: number) => void;
}

const INTERNAL_KIND = 1;
const SERVER_KIND = 2;

/** Makes and exports the spans of one process. */
export class OperationTraces implements Tracer {
  readonly #options: OperationTracesOptions;
  readonly #sampler: Sampler;
  readonly #exporter: SpanExporter;
  readonly #current = new AsyncLocalStorage<SpanContext>();

  constructor(options: OperationTracesOptions) {
    this.#options = options;
    this.#sampler = createSampler(options);
    this.#exporter = new SpanExporter({ ...options, poster: createPoster(tracesUrl(options.endpoint), options.limits) });
  }

  async trace<T>(span: SpanDescription, work: (set: SetAttribute) => Promise<T>): Promise<T> {
    const remote = span.traceParent === undefined ? undefined : parentOf(['traceparent', span.traceParent]);
    const parent = remote ?? this.#current.getStore();
    const context = this.#begin(parent, remote === undefined && parent !== undefined);
    const added: Record<string, string | number> = {};
    const set: SetAttribute = (key, value) => {
      if (context.isSampled) added[key] = value;
    };
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    const end = (hasFailed: boolean): void => {
      if (!context.isSampled) return;
      const endMs = clock.wallMs();
      const times = { startMs: endMs - (clock.nowMs() - startMs), endMs };
      this.#exporter.add(this.#jsonOf(span, { context, parentSpanId: parent?.spanId, added, hasFailed, ...times }));
    };
    try {
      const result = await this.#current.run(context, () => work(set));
      end(false);
      return result;
    } catch (error) {
      end(true);
      throw error;
    }
  }

  record(span: SpanDescription, durationMs: number): void {
    const parent = span.traceParent === undefined ? undefined : parentOf(['traceparent', span.traceParent]);
    const context = this.#begin(parent, false);
    if (!context.isSampled) return;
    const endMs = this.#options.clock.wallMs();
    const ended = { context, parentSpanId: parent?.spanId, added: {}, hasFailed: false, startMs: endMs - durationMs, endMs };
    this.#exporter.add(this.#jsonOf(span, ended));
  }

  /** Exports what is queued, for at most `ms` milliseconds. To be called once. */
  stop(ms: number): Promise<void> {
    return this.#exporter.stop(ms);
  }

  /** The decision about a trace is made with its first span here; the others follow it. */
  #begin(parent: SpanContext | undefined, isOurs: boolean): SpanContext {
    const traceId = parent?.traceId ?? newTraceId();
    const isSampled = isOurs ? parent?.isSampled === true : this.#sampler(traceId, parent);
    return { traceId, spanId: isSampled ? newSpanId() : '', isSampled };
  }

  #jsonOf({ name, kind, attributes }: SpanDescription, span: EndedSpan): string {
    const { context, parentSpanId, added, hasFailed } = span;
    const max = this.#options.limits.spanField.value;
    return JSON.stringify({
      traceId: context.traceId,
      spanId: context.spanId,
      ...(parentSpanId === undefined ? {} : { parentSpanId }),
      name,
      kind: kind === 'server' ? SERVER_KIND : INTERNAL_KIND,
      startTimeUnixNano: nanosOf(span.startMs),
      endTimeUnixNano: nanosOf(span.endMs),
      attributes: Object.entries({ ...attributes, ...added }).map(([key, value]) => cutAttribute(attributeOf(key, value), max)),
      ...(hasFailed ? { status: ERROR_STATUS } : {}),
    });
  }
}

interface EndedSpan {
  readonly context: SpanContext;
  readonly parentSpanId: string | undefined;
  /** Attributes that became known in the span. */
  readonly added: Readonly<Record<string, string | number>>;
  readonly hasFailed: boolean;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
}

function attributeOf(key: string, value: string | number): Attribute {
  return { key, value: typeof value === 'number' ? { intValue: value } : { stringValue: value } };
}
