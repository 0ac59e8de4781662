/*
 * How an exchange takes part in a trace.
 */
import type { ForwardHead } from '../../http/heads.ts';
import type { ExchangeRecord } from './exchange-record.ts';

/** Gives requests to the application their place in a trace. */
export interface ExchangeTracer {
  /**
   * The head to forward instead of `head`: with the span of the exchange as the parent, if the request is sampled. At most once for each
   * exchange, before its record is complete. Must neither throw nor block.
   */
  forward(record: ExchangeRecord, head: ForwardHead): ForwardHead;
}
