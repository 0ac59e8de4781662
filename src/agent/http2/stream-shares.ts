/*
 * Who may open another stream when many are open in the process: connections with few streams come before those with many, so that some
 * clients cannot use up what all of them share.
 */
import { LIMITS } from '../../limits/agent-limits.ts';

const STREAMS = LIMITS.streams;
/** A connection with fewer streams may use all of the shared ones, with fewer than the second number three quarters, otherwise half of them. */
const FEW = LIMITS.fewStreams.value;
const SOME = LIMITS.someStreams.value;

let open = 0;

/** Adds a stream to a connection that has `own` streams. @returns false: it must be refused, which is counted */
export function takeStream(own: number): boolean {
  const share = own < FEW ? 1 : own < SOME ? 0.75 : 0.5;
  if (open >= STREAMS.value * share) {
    STREAMS.hit();
    return false;
  }
  open += 1;
  return true;
}

/** Removes a stream. */
export function releaseStream(): void {
  open -= 1;
}
