/*
 * Makes a witness smaller as long as the filter chains still decide it differently: fewer headers and claims, defaults where they do, a
 * shorter path.
 */

import type { WitnessRequest } from '../../analysis/candidate.ts';
import type { CompareOptions } from '../../analysis/compare-programs.ts';
import type { Witness, WitnessToken } from '../../analysis/witness.ts';
import type { DirectionName } from '../input/witness-spec.ts';
import type { ConfirmedWitness, WitnessCheck } from './confirm-witness.ts';

/** What a comparison confirms its witnesses with. */
export interface WitnessCollector extends Pick<CompareOptions, 'confirm'> {
  /** The last witness that was confirmed in each direction, as small as possible. */
  readonly confirmed: ReadonlyMap<DirectionName, ConfirmedWitness>;
}

/** Confirms by `check`, and keeps what is confirmed. @param isOver when it says so, a witness stays as large as it is */
export function collectWitnesses(check: WitnessCheck, isOver: () => boolean): WitnessCollector {
  const confirmed = new Map<DirectionName, ConfirmedWitness>();
  const confirm: CompareOptions['confirm'] = (witness, direction) => {
    const found = check.confirm(witness, direction);
    if (found === undefined) return false;
    confirmed.set(
      direction,
      simplestWitness(found, (simpler) => (isOver() ? undefined : check.confirm(simpler, direction))),
    );
    return true;
  };
  return { confirm, confirmed };
}

/** The smallest witness that the steps below lead to. @param confirm undefined: both sets decide it alike */
function simplestWitness(found: ConfirmedWitness, confirm: (witness: Witness) => ConfirmedWitness | undefined): ConfirmedWitness {
  let best = found;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const simpler of smaller(best.witness)) {
      const confirmed = confirm(simpler);
      if (confirmed === undefined) continue;
      best = confirmed;
      isSmaller = true;
      break;
    }
  }
  return best;
}

const OPTIONAL = ['sourceIp', 'forwardedFor', 'destinationIp', 'port', 'sni', 'host'] as const satisfies readonly (keyof WitnessRequest)[];

function* smaller(witness: Witness): Generator<Witness> {
  const { request, tokens } = witness;
  const withRequest = (changed: Partial<WitnessRequest>): Witness => ({ ...witness, request: { ...request, ...changed } });
  if (tokens.length > 0) yield { ...witness, tokens: tokens.slice(1) };
  for (const at of request.headers.keys()) yield withRequest({ headers: request.headers.toSpliced(at, 1) });
  for (const at of request.peers.keys()) yield withRequest({ peers: request.peers.toSpliced(at, 1) });
  for (const name of OPTIONAL) {
    const { [name]: dropped, ...rest } = request;
    if (dropped !== undefined) yield { ...witness, request: rest };
  }
  if (request.method !== 'GET') yield withRequest({ method: 'GET' });
  for (const [at, { claims, provider }] of tokens.entries()) {
    for (const name of Object.keys(claims)) {
      const { [name]: _dropped, ...rest } = claims;
      const token: WitnessToken = { claims: rest, provider };
      yield { ...witness, tokens: tokens.toSpliced(at, 1, token) };
    }
  }
  for (let slash = request.path.indexOf('/'); slash !== -1; slash = request.path.indexOf('/', slash + 1)) {
    const path = request.path.slice(0, slash + 1);
    if (path !== request.path) yield withRequest({ path });
  }
}
