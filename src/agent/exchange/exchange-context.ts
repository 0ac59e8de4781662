/*
 * What the exchanges of one agent share.
 */
import type { Clock } from '../../clock.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { ActivePolicy, ExtAuthzClient, LiveStreams } from '../context.ts';
import type { EvaluationQueue } from './evaluation-queue.ts';
import type { ExchangeObserver } from './exchange-record.ts';
import type { ExchangeTracer } from './exchange-tracer.ts';

/** Shared by all exchanges of an agent. */
export interface ExchangeContext {
  /** Undefined until the first bundle, and while none applies to the labels of the pod: every request gets {@link replyWithoutPolicy}. */
  activePolicy(): ActivePolicy | undefined;
  /** 503 with the reason why there is no active policy. */
  replyWithoutPolicy(): LocalReply;
  readonly clock: Clock;
  readonly observer: ExchangeObserver;
  /** Absent: every check is answered as an error (403). */
  readonly extAuthz: ExtAuthzClient | undefined;
  readonly evaluations: EvaluationQueue;
  /** Absent: requests are forwarded with the trace context of the client. */
  readonly tracer?: ExchangeTracer;
  /** Streams that are evaluated again; undefined: none are. */
  readonly liveStreams: LiveStreams | undefined;
  /** A random UUID. */
  readonly newRequestId: () => string;
}
