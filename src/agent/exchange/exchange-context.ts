/*
 * What the exchanges of one agent share.
 */
import type { Clock } from '../../clock.ts';
import type { ActivePolicy, ExtAuthzClient } from '../context.ts';
import type { EvaluationQueue } from './evaluation-queue.ts';
import type { ExchangeObserver } from './exchange-record.ts';

/** Shared by all exchanges of an agent. */
export interface ExchangeContext {
  /** Undefined until the first bundle: every request gets 503. */
  activePolicy(): ActivePolicy | undefined;
  readonly clock: Clock;
  readonly observer: ExchangeObserver;
  /** Absent: every check is answered as an error (403). */
  readonly extAuthz: ExtAuthzClient | undefined;
  readonly evaluations: EvaluationQueue;
  /** A random UUID. */
  readonly newRequestId: () => string;
}
