/*
 * A witness of the analysis as a written request.
 */
import type { TokenPlace } from '../../analysis/token-effects.ts';
import type { Witness, WitnessToken } from '../../analysis/witness.ts';
import { placeToken } from './insert-token.ts';
import type { RequestSpec } from './request-spec.ts';

/** Which set lets in what the other one refuses. */
export type DirectionName = 'widened' | 'narrowed';

/** A token of a witness with its place. */
export interface PlacedToken extends WitnessToken {
  readonly place: TokenPlace;
}

const INVALID_TOKEN = 'invalid';

/** The witness as a written request without tokens. */
export function specOf({ request, invalidTokenAt }: Witness): RequestSpec {
  const { forwardedFor, peers, headers, scheme: _scheme, ...rest } = request;
  const [peer] = peers;
  const spec: RequestSpec = {
    ...rest,
    headers: [...headers, ...(forwardedFor === undefined ? [] : [['x-forwarded-for', forwardedFor] as const])],
    ...(peer === undefined ? {} : { peer }),
  };
  return invalidTokenAt === undefined ? spec : placeToken(spec, INVALID_TOKEN, invalidTokenAt);
}
