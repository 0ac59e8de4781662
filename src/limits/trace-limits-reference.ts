/*
 * Descriptions of the limits of traces, a part of `agent-limits-reference.ts`.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';

type TraceLimitName = Extract<LimitName, `span${string}` | `queuedSpan${string}`>;

const DROPPED = 'result="dropped"';
const NOTHING = 'nothing is lost';

/** By their names in code. */
export const TRACE_LIMITS_REFERENCE: Readonly<Record<TraceLimitName, LimitReference>> = {
  queuedSpans: { part: 'traces', bounds: 'spans that wait to be exported', beyond: 'the span is dropped', labels: DROPPED },
  queuedSpanBytes: { part: 'traces', bounds: 'their bytes', beyond: 'the span is dropped', labels: DROPPED },
  spanBatch: { part: 'traces', bounds: 'spans of one export', beyond: 'the others follow in another one' },
  spanDelay: { part: 'traces', bounds: 'time until an export with fewer spans than `span-batch`', beyond: NOTHING },
  spanField: { part: 'traces', bounds: 'characters of an attribute', beyond: 'the rest is cut' },
  spanExportTime: { part: 'traces', bounds: 'time for one export', beyond: 'the export is tried again' },
  spanExportAttempts: {
    part: 'traces',
    bounds: 'attempts to export a batch; only after a status or failure that the specification of OTLP allows to retry',
    beyond: 'the batch is dropped',
    labels: DROPPED,
  },
  spanExportRetry: {
    part: 'traces',
    bounds: 'shortest time between two attempts, doubled with each and lengthened by up to the same at random',
    beyond: NOTHING,
  },
  spanExportLongestRetry: { part: 'traces', bounds: 'longest time between two attempts, also if `Retry-After` says more', beyond: NOTHING },
  spanResponseBytes: { part: 'traces', bounds: 'kept part of the response of a collector', beyond: 'the rest is ignored' },
  spanFlushTime: {
    part: 'traces',
    bounds: 'time for the last export when the agent stops, if requests have taken all of `drain-time`; else it has what is left of that',
    beyond: 'the spans are dropped',
    labels: DROPPED,
  },
};
