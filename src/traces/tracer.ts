/*
 * What the code of the controller knows of traces: work in a span, or without one.
 */

/** What a span says besides its times. Never a token, a key, a claim or a header. */
export interface SpanDescription {
  /** Of a closed list. */
  readonly name: string;
  /** `server`: work for a client that waits; absent: `internal`. */
  readonly kind?: 'server';
  readonly attributes: Readonly<Record<string, string | number>>;
  /** `traceparent` of a client; absent or invalid: the span in which it is made is the parent. */
  readonly traceParent?: string | undefined;
}

/** Adds an attribute that is known only later. */
export type SetAttribute = (key: string, value: string | number) => void;

/** Runs work in spans. */
export interface Tracer {
  /** Runs `work` in a span, of which spans made meanwhile are children. A span whose work throws has failed. @returns what `work` returns */
  readonly trace: <T>(span: SpanDescription, work: (set: SetAttribute) => Promise<T>) => Promise<T>;
  /** Adds the span of work that has just ended elsewhere. @param durationMs how long it took */
  readonly record: (span: SpanDescription, durationMs: number) => void;
}

/** Runs `work`, in a span if there is a tracer. */
export function traced<T>(tracer: Tracer | undefined, span: SpanDescription, work: (set: SetAttribute) => Promise<T>): Promise<T> {
  return tracer === undefined ? work(() => undefined) : tracer.trace(span, work);
}
