/*
 * Does to a request what Envoy does before its filters run: codec checks, host and path checks, path normalisation,
 * header clean-up, remote address. In: a raw head. Out: the working copy that is judged and forwarded, or a rejection.
 * Called by the judge first of all. `x-request-id` is not made here: the agent adds one when none is there.
 */
import type { PathNormalization } from '../../api/mesh-config.ts';
import type { PreparedRequest } from './prepared-request.ts';
import type { RawHead } from './raw-head.ts';

/** A request that never reaches the policies. */
export interface Rejection {
  readonly kind: 'reject';
  readonly status: number;
  readonly body: string;
  /** The connection must be closed after the reply. */
  readonly close: boolean;
  /** Envoy's response code details, e.g. `missing_host_header`. */
  readonly details: string;
}

export type Preparation = { readonly kind: 'ok'; readonly prepared: PreparedRequest } | Rejection;

/** Cleans one request as Envoy does before any filter. */
export function prepareRequest(raw: RawHead, normalization: PathNormalization): Preparation {
  throw new Error(`${raw.method} ${normalization}`);
}
