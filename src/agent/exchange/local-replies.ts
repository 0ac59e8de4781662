/*
 * Replies of the exchange itself: overload, and a failed upstream. Statuses, bodies and details are Envoy's where it has them.
 */
import { type LocalReply, textReply } from '../../http/local-reply.ts';
import type { UpstreamFailure } from '../../http/stream.ts';

/** Too many requests wait for the verification of their tokens, or this one waited for too long. */
export const OVERLOADED: LocalReply = textReply(503, 'too many requests wait for verification', 'verification_overload');

/** An upgrade is refused when its request has a body: client and application could disagree on where the body ends. */
export const UPGRADE_WITH_BODY: LocalReply = textReply(400, 'Bad Request', 'upgrade_with_body', true);

interface FailureText {
  readonly status: number;
  /** In the body. */
  readonly text: string;
  /** In response code details. */
  readonly code: string;
}

const FAILURES: Readonly<Record<UpstreamFailure, FailureText>> = {
  connect: { status: 503, text: 'connection failure', code: 'connection_failure' },
  timeout: { status: 503, text: 'connection timeout', code: 'connection_timeout' },
  termination: { status: 503, text: 'connection termination', code: 'connection_termination' },
  protocol: { status: 502, text: 'protocol error', code: 'protocol_error' },
  reset: { status: 503, text: 'remote reset', code: 'remote_reset' },
  refused: { status: 503, text: 'remote refused stream reset', code: 'remote_refused_stream_reset' },
};

/** What the client gets when the application gave no response. @param reason see `onUpstreamFailure` */
export function failureReply(failure: UpstreamFailure, reason: string): LocalReply {
  const { status, text } = FAILURES[failure];
  const body = `upstream connect error or disconnect/reset before headers. reset reason: ${text}`;
  return textReply(status, body, `upstream_reset_before_response_started${failureCode(failure, reason)}`);
}

/** Response code details of a response that was cut off. @param reason see `onUpstreamFailure` */
export function cutDetails(failure: UpstreamFailure, reason: string): string {
  return `upstream_reset_after_response_started${failureCode(failure, reason)}`;
}

function failureCode(failure: UpstreamFailure, reason: string): string {
  return reason === '' ? `{${FAILURES[failure].code}}` : `{${FAILURES[failure].code}|${reason}}`;
}
