/*
 * The interface between the replay and its runners, and the time of records.
 */
import type { BuiltCase } from './build-case.ts';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';

/** A runner: a way to send recorded requests to Sallyport. */
export interface WayIn {
  readonly name: string;
  /** Whether its outcomes are observed on the wire, with bodies and framing. */
  readonly hasFraming: boolean;
  /** Whether the runner supports `request`. */
  takes(request: RecordedRequest, from: RecordedCase): boolean;
  /** Prepares for the requests of one case. */
  open(recorded: RecordedCase, built: BuiltCase): Promise<OpenCase>;
}

export interface OpenCase {
  /** The outcome of one request; its `observed` determines the response of the fake ext_authz server. */
  send(request: RecordedRequest): Promise<Observed>;
  close(): Promise<void>;
}

/** Time of records without a time, 2026-09-01: tokens described as expired were expired then, and others were not. */
const NOW_SECONDS = 1_788_220_800;

/** Time at which `request` was decided, in Unix seconds. */
export function timeOf({ at = NOW_SECONDS }: RecordedRequest): number {
  return at;
}
