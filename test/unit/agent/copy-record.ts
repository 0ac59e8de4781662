/*
 * Records of exchanges that outlast the exchange.
 */
import type { ExchangeRecord } from '../../../src/agent/exchange/exchange-record.ts';

/** The record itself is reused by the next exchange. */
export function copyOf(record: ExchangeRecord): ExchangeRecord {
  const {
    protocol,
    method,
    path,
    status,
    requestId,
    headers,
    sourceIp,
    destinationPort,
    tls,
    verdict,
    details,
    digest,
    startMs,
    evaluatedMs,
    revoked,
  } = record;
  return {
    protocol,
    method,
    path,
    status,
    requestId,
    headers,
    sourceIp,
    destinationPort,
    tls,
    verdict,
    details,
    digest,
    startMs,
    evaluatedMs,
    revoked,
  };
}
