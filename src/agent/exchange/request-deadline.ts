/*
 * The deadline that a client sets with grpc-timeout. Istio's sidecars enforce it for every request, gRPC or not.
 */
import type { Clock } from '../../clock.ts';
import { grpcTimeoutMs } from '../../http/grpc-timeout.ts';
import { grpcReply, type LocalReply, textReply } from '../../http/local-reply.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { startDeadline } from '../../limits/timers.ts';
import type { ExchangeState } from './exchange-state.ts';

/** Response code details of a request whose time was over. */
export const DURATION_DETAILS = 'max_duration_timeout';

const MESSAGE = 'downstream duration timeout';
const DEADLINE_EXCEEDED = 4;
/** Longer than this sets no deadline: timers cannot wait for longer. */
const LONGEST = LIMITS.requestDeadline.value;

/** Calls `run` when the time in `value` is over. @returns cancels it; undefined: `value` sets no deadline */
export function startRequestDeadline(value: string, clock: Clock, run: () => void): (() => void) | undefined {
  const ms = grpcTimeoutMs(value);
  return ms === undefined || ms > LONGEST ? undefined : startDeadline(LIMITS.requestDeadline, run, { ms, clock });
}

/** What the client gets when no response has begun. @param waitsForUpgrade what follows the head is not a body */
export function deadlineReply({ request, verdict, requestEnded }: ExchangeState, waitsForUpgrade: boolean): LocalReply {
  if (verdict?.isGrpc === true) return grpcReply(DEADLINE_EXCEEDED, request.method === 'HEAD' ? '' : MESSAGE, DURATION_DETAILS);
  return textReply(requestEnded && !waitsForUpgrade ? 504 : 408, MESSAGE, DURATION_DETAILS);
}
