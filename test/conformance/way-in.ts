/*
 * What a way into the product looks like to the replay. In: nothing. Out: the type, and the time of a record.
 */
import type { BuiltCase } from './build-case.ts';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';

/** A way to put recorded requests to the product. */
export interface WayIn {
  readonly name: string;
  /** Can `request` be put this way? */
  takes(request: RecordedRequest, from: RecordedCase): boolean;
  /** Prepares for the requests of one case. */
  open(recorded: RecordedCase, built: BuiltCase): Promise<OpenCase>;
}

export interface OpenCase {
  /** The outcome of one request; it has an `observed`, which tells the fake authorizer what to answer. */
  send(request: RecordedRequest): Promise<Observed>;
  close(): Promise<void>;
}

/** Records without a time of their own are of this one: tokens called expired were, and the others were not. 2026-09-01. */
const NOW_SECONDS = 1_788_220_800;

/** The time at which `request` was decided, in Unix seconds. */
export function timeOf({ at = NOW_SECONDS }: RecordedRequest): number {
  return at;
}
