/*
 * Replies of the exchange itself: no policy yet, and a failed upstream. Statuses, bodies and details are Envoy's where it has them.
 */
import { type LocalReply, textReply } from '../../http/local-reply.ts';
import type { UpstreamFailure } from '../../http/stream.ts';

/** No active policy yet: nothing is served. Clients may depend on the bytes of the body. */
export const NOT_READY: LocalReply = textReply(503, 'no policy in force yet', 'no_policy_bundle');

const BEFORE_HEADERS = 'upstream connect error or disconnect/reset before headers. reset reason: ';
const FAILURES: Readonly<Record<UpstreamFailure, LocalReply>> = {
  connect: textReply(503, `${BEFORE_HEADERS}connection failure`, 'upstream_reset_before_response_started{connection_failure}'),
  timeout: textReply(503, `${BEFORE_HEADERS}connection timeout`, 'upstream_reset_before_response_started{connection_timeout}'),
  termination: textReply(503, `${BEFORE_HEADERS}connection termination`, 'upstream_reset_before_response_started{connection_termination}'),
  protocol: textReply(502, `${BEFORE_HEADERS}protocol error`, 'upstream_reset_before_response_started{protocol_error}'),
};

/** What the client gets when the application gave no response. */
export function failureReply(failure: UpstreamFailure): LocalReply {
  return FAILURES[failure];
}
