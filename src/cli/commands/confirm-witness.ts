/*
 * Puts a witness of the analysis to the agent's own filter chains, under both sets of policies: as a request that the codec parses, with
 * tokens that are signed and verified. What they do not decide differently is not reported as a difference.
 */
import { DESTINATION_IP } from '../../analysis/candidate.ts';
import { placesOf } from '../../analysis/token-effects.ts';
import type { Witness, WitnessToken } from '../../analysis/witness.ts';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import { createExplainedChain, type Enforced, evaluateToEnd } from '../../explain/evaluate-to-end.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import type { FilterChain } from '../../filters/filter-chain.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { JwtProvider, Program } from '../../policy/model/program.ts';
import { placeToken } from '../input/insert-token.ts';
import { isForHttp1, readOverHttp2 } from '../input/read-over-http2.ts';
import { readSpec } from '../input/request-spec.ts';
import { type DirectionName, type PlacedToken, specOf } from '../input/witness-spec.ts';

/** What a witness is put to. Plain data. */
export interface ComparedPrograms {
  readonly before: Program;
  readonly after: Program;
  /** `namespace/kind/name`. */
  readonly workload: string;
}

/** A witness that the filter chains decide differently. */
export interface ConfirmedWitness {
  readonly witness: Witness;
  readonly tokens: readonly PlacedToken[];
  /** Both sets with keys that verify the tokens. */
  readonly enforced: { readonly before: Enforced; readonly after: Enforced };
  readonly raw: RawRequest;
}

/** Confirms witnesses for one workload. */
export interface WitnessCheck {
  /** undefined: both sets decide it alike. */
  confirm(witness: Witness, direction: DirectionName): ConfirmedWitness | undefined;
}

/** Keys that verify the tokens of a witness, and the chains of both sets that use them. */
interface KeyRing {
  readonly sign: (token: WitnessToken) => string;
  readonly before: Enforced;
  readonly after: Enforced;
  readonly chains: readonly [FilterChain, FilterChain];
}

const CLAIM_TEXT = 'x';

/**
 * The check for one workload. A witness is tried with one key that every key set has, and with a key for each key set: whether two key sets
 * share a key is not known here, so both are possible.
 * @param nowSeconds whole Unix seconds
 */
export function createWitnessCheck({ before, after, workload }: ComparedPrograms, nowSeconds: number): WitnessCheck {
  const rings: (KeyRing | undefined)[] = [];
  const ringOf = (index: 0 | 1): KeyRing => (rings[index] ??= index === 0 ? sharedKey(before, after) : separateKeys(before, after));
  const { namespace, name } = parseWorkloadKey(workload);
  const required = [...before.providers, ...after.providers].filter((provider) => provider.required);
  return {
    confirm(witness, direction) {
      for (const [tried, tokens] of attempts(witness, required)) {
        for (const index of witness.tokens.length === 0 ? ([0] as const) : ([0, 1] as const)) {
          const { sign, chains, ...enforced } = ringOf(index);
          const raw = rawRequest(tried, tokens, sign, `${name}.${namespace}`);
          const ordered = direction === 'widened' ? chains : chains.toReversed();
          if (raw !== undefined && differs(ordered, raw, tried.protocol, nowSeconds)) return { witness: tried, tokens, enforced, raw };
        }
      }
      return undefined;
    },
  };
}

/**
 * The witness with its tokens in every place; first without what is invalid in it, which is not always needed, and without tokens that
 * only the presence of a JWT rule requires: that may be the difference.
 */
function* attempts(witness: Witness, required: readonly JwtProvider[]): Generator<readonly [Witness, readonly PlacedToken[]]> {
  const { invalidTokenAt, companions = [], ...valid } = witness;
  const tried = (invalidTokenAt === undefined ? [valid] : [valid, { ...valid, invalidTokenAt }]).flatMap((one) => [
    one,
    ...atDefaultAddress(one),
  ]);
  for (const one of tried) {
    for (const others of required.length === 0 ? [required] : [[], required]) {
      for (const tokens of placements(one, others)) {
        const placed = withoutHeadersOf(tokens, one);
        yield [placed, tokens];
        const { path } = placed.request;
        if (tokens.length > 0 && path.includes('?'))
          yield [{ ...placed, request: { ...placed.request, path: escapedParameter(path) } }, tokens];
      }
    }
  }
  for (const tokens of besideCompanions(valid, companions)) yield [withoutHeadersOf(tokens, valid), tokens];
}

/** The witness with the address that it has for the analysis, where a request in writing has none. */
function atDefaultAddress(witness: Witness): readonly Witness[] {
  return witness.request.destinationIp === undefined
    ? [{ ...witness, request: { ...witness.request, destinationIp: DESTINATION_IP } }]
    : [];
}

/** The token of a witness next to one of another JWT rule, each in another place. */
function* besideCompanions({ tokens: [token] }: Witness, companions: readonly JwtProvider[]): Generator<readonly PlacedToken[]> {
  if (token === undefined) return;
  for (const provider of companions) {
    const claims = plainClaims(provider);
    for (const place of placesOf(token.provider)) {
      for (const other of placesOf(provider)) {
        if (JSON.stringify(other) !== JSON.stringify(place))
          yield [
            { ...token, place },
            { claims, provider, place: other },
          ];
      }
    }
  }
}

/** A header that holds a token has no other value. */
function withoutHeadersOf(tokens: readonly PlacedToken[], witness: Witness): Witness {
  const taken = new Set(tokens.flatMap(({ place }) => (place.kind === 'header' ? [place.name] : [])));
  const headers = witness.request.headers.filter(([name]) => !taken.has(name));
  return headers.length === witness.request.headers.length ? witness : { ...witness, request: { ...witness.request, headers } };
}

/** The path with a query that gives the query of `path` when a token is removed from it: one parameter, with all characters escaped. */
function escapedParameter(path: string): string {
  const start = path.indexOf('?') + 1;
  const equals = path.indexOf('=', start);
  const end = equals === -1 ? path.length : equals;
  const escape = (text: string): string =>
    Array.from(text, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
  return `${path.slice(0, start)}${escape(path.slice(start, end))}=${escape(path.slice(end + 1))}`;
}

function ring(before: Enforced, after: Enforced, sign: KeyRing['sign']): KeyRing {
  return { sign, before, after, chains: [createExplainedChain(before), createExplainedChain(after)] };
}

function sharedKey(before: Program, after: Program): KeyRing {
  const { sign, keySetsFor } = createTestKey();
  const withKeys = (program: Program): Enforced => ({ program, keySets: keySetsFor(program) });
  return ring(withKeys(before), withKeys(after), ({ claims }) => sign(claims));
}

function separateKeys(before: Program, after: Program): KeyRing {
  const keyById = new Map<string, TestKey>();
  const keyOf = (id: string): TestKey => {
    const key = keyById.get(id) ?? createTestKey();
    keyById.set(id, key);
    return key;
  };
  const withKeys = (program: Program): Enforced => ({
    program,
    keySets: Object.assign(
      {},
      ...program.providers.map((provider) => keyOf(provider.keySet).keySetsFor({ ...program, providers: [provider] })),
    ) as Enforced['keySets'],
  });
  return ring(withKeys(before), withKeys(after), ({ claims, provider }) => keyOf(provider.keySet).sign(claims));
}

/** The tokens in every place where their rules look; tokens that other rules require come first. */
function* placements({ tokens }: Witness, required: readonly JwtProvider[]): Generator<readonly PlacedToken[]> {
  const [first, ...rest] = tokens;
  const others = required
    .filter((provider) => !tokens.some((token) => token.provider.issuer === provider.issuer))
    .flatMap((provider) => atFirstPlace({ claims: plainClaims(provider), provider }));
  if (first === undefined) {
    yield others;
    return;
  }
  for (const place of placesOf(first.provider)) {
    yield [...others, { ...first, place }, ...rest.flatMap(atFirstPlace)];
    for (const second of rest) {
      for (const own of placesOf(second.provider).slice(1)) yield [...others, { ...first, place }, { ...second, place: own }];
    }
  }
}

function atFirstPlace(token: WitnessToken): readonly PlacedToken[] {
  const [place] = placesOf(token.provider);
  return place === undefined ? [] : [{ ...token, place }];
}

function plainClaims({ issuer, audiences: [audience] }: JwtProvider): WitnessToken['claims'] {
  return { iss: issuer === '' ? CLAIM_TEXT : issuer, sub: CLAIM_TEXT, ...(audience === undefined ? {} : { aud: audience }) };
}

/** @returns undefined when the codec refuses the request */
function rawRequest(witness: Witness, tokens: readonly PlacedToken[], sign: KeyRing['sign'], defaultHost: string): RawRequest | undefined {
  const { peers, scheme } = witness.request;
  const spec = tokens.reduce((one, token) => placeToken(one, sign(token), token.place), specOf(witness));
  const read = scheme === undefined && isForHttp1(spec) ? readSpec(spec, defaultHost) : undefined;
  const request = read === undefined ? readOverHttp2(spec, defaultHost, scheme) : read.kind === 'reply' ? undefined : read.request;
  if (request === undefined || peers.length === 0) return request;
  const connection: ConnectionFacts = { ...request.connection, peer: { uris: peers, dnsNames: [], subject: '' } };
  return { ...request, connection };
}

interface Admission {
  readonly isAdmitted: boolean;
  /** Names of the ext_authz servers that are asked. */
  readonly servers: readonly string[];
}

/** Does the second chain let in what the first refuses, or what a server refuses that only the first asks? */
function differs(
  [refusing, admitting]: readonly FilterChain[],
  raw: RawRequest,
  protocol: Witness['protocol'],
  nowSeconds: number,
): boolean {
  if (refusing === undefined || admitting === undefined) return false;
  const admit =
    protocol === 'http'
      ? (chain: FilterChain) => admitRequest(chain, raw, nowSeconds)
      : (chain: FilterChain) => admitConnection(chain, raw.connection);
  const [refused, admitted] = [admit(refusing), admit(admitting)];
  return admitted.isAdmitted && (!refused.isAdmitted || refused.servers.some((server) => !admitted.servers.includes(server)));
}

function admitRequest(chain: FilterChain, raw: RawRequest, nowSeconds: number): Admission {
  const { final, providers } = evaluateToEnd(chain, raw, nowSeconds, 'allow');
  return { isAdmitted: final.kind === 'forward', servers: providers };
}

function admitConnection(chain: FilterChain, connection: ConnectionFacts): Admission {
  const servers: string[] = [];
  let verdict = chain.evaluateConnection(connection);
  while (verdict.kind === 'check') {
    servers.push(verdict.provider.name);
    verdict = verdict.resume(true);
  }
  return { isAdmitted: verdict.kind === 'allow', servers };
}
