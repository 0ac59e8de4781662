/*
 * An exchange between a client and an application in memory, under a filter chain of the test's choice.
 */

import { NOT_READY } from '../../../src/agent/bundles/active-policy.ts';
import type { ExtAuthzClient } from '../../../src/agent/context.ts';
import { EvaluationQueue } from '../../../src/agent/exchange/evaluation-queue.ts';
import { Exchange } from '../../../src/agent/exchange/exchange.ts';
import type { ExchangeRecord } from '../../../src/agent/exchange/exchange-record.ts';
import { type Clock, systemClock } from '../../../src/clock.ts';
import type { FilterChain } from '../../../src/filters/filter-chain.ts';
import { copyOf } from './copy-record.ts';
import { stubFilterChain } from './loopback.ts';
import { MemoryClient, MemoryUpstream } from './memory-streams.ts';

export interface MemoryStageOptions {
  /** Absent: forwards everything but paths that begin with `/no`. */
  readonly filterChain?: FilterChain;
  /** No policy is active. */
  readonly notReady?: boolean;
  readonly extAuthz?: ExtAuthzClient;
  /** Absent: one that runs on the event loop. */
  readonly evaluations?: EvaluationQueue;
  /** Absent: that of the system. */
  readonly clock?: Clock;
}

export interface MemoryStage {
  readonly client: MemoryClient;
  readonly upstream: MemoryUpstream;
  /** Exchanges that are over. */
  readonly records: ExchangeRecord[];
}

/** Puts the parts together. */
export function memoryStage(options: MemoryStageOptions = {}): MemoryStage {
  const records: ExchangeRecord[] = [];
  const policy = { filterChain: options.filterChain ?? stubFilterChain, digest: 'sha256:d' };
  const client = new MemoryClient({ sourceIp: '127.0.0.1', destinationIp: '10.1.2.3', destinationPort: 8080, sni: '', tls: false });
  const upstream = new MemoryUpstream();
  const exchange = new Exchange(client, upstream, {
    activePolicy: () => (options.notReady === true ? undefined : policy),
    clock: options.clock ?? systemClock,
    replyWithoutPolicy: () => NOT_READY,
    observer: { onExchange: (record) => records.push(copyOf(record)) },
    extAuthz: options.extAuthz,
    evaluations: options.evaluations ?? new EvaluationQueue(systemClock),
    liveStreams: undefined,
    newRequestId: () => 'generated-id',
  });
  client.attach(exchange);
  return { client, upstream, records };
}
