/*
 * The replies that the proxy makes without the judge: not ready, upstream faults, timeouts. In: what went wrong. Out:
 * reply and response code details, Envoy's where it has them. Used by client connections.
 */
import { codecReply, type LocalReply, textReply } from '../../http/local-reply.ts';
import type { UpstreamFailure } from '../http1/upstream-connection.ts';

/** No bundle yet: nothing is served. */
export const NOT_READY: LocalReply = textReply(503, 'no policy in force yet', 'no_policy_bundle');
export const REQUEST_TIMEOUT: LocalReply = codecReply(408, 'Request Timeout', 'request_header_timeout');

const BEFORE_HEADERS = 'upstream connect error or disconnect/reset before headers. reset reason: ';
const FAILURES: Readonly<Record<UpstreamFailure, LocalReply>> = {
  connect: textReply(503, `${BEFORE_HEADERS}connection failure`, 'upstream_reset_before_response_started{connection_failure}'),
  timeout: textReply(503, `${BEFORE_HEADERS}connection timeout`, 'upstream_reset_before_response_started{connection_timeout}'),
  termination: textReply(503, `${BEFORE_HEADERS}connection termination`, 'upstream_reset_before_response_started{connection_termination}'),
  protocol: textReply(502, `${BEFORE_HEADERS}protocol error`, 'upstream_reset_before_response_started{protocol_error}'),
};

/** What the client is told when the application gave no response. */
export function failureReply(failure: UpstreamFailure): LocalReply {
  return FAILURES[failure];
}

/** Idempotent methods: without a body they may be sent once more when a kept connection turns out dead (RFC 9110 section 9.2.2). */
export const MAY_BE_SENT_AGAIN: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
