/*
 * A candidate as a request that can be sent, with tokens to sign.
 */
import type { Claims, Json } from '../policy/facts.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import { changedHeaderOf, claimOfKey, isClaimKey } from './attribute-key.ts';
import { claimsOf, listOf, requestOf, type Values, type WitnessRequest } from './candidate.ts';
import type { TokenCase } from './token-cases.ts';
import type { TokenPlace } from './token-effects.ts';

/** A token of a witness, for the caller to sign. */
export interface WitnessToken {
  readonly claims: Claims;
  /** A JWT rule that accepts it. */
  readonly provider: JwtProvider;
}

/** A request or connection that the two programs decide differently. */
export interface Witness {
  readonly protocol: 'http' | 'tcp';
  readonly request: WitnessRequest;
  readonly tokens: readonly WitnessToken[];
  /** A place where the request has something that is not a token; absent: it has none. */
  readonly invalidTokenAt?: TokenPlace;
  /** JWT rules of which one may have to accept another token of the request, in another place. */
  readonly companions?: readonly JwtProvider[];
}

/** The request that has the values. It may be another one where JWT rules change headers, so the caller has to confirm it. */
export function witnessOf(values: Values, { accepting, invalidAt, companions = [] }: TokenCase, protocol: 'http' | 'tcp'): Witness {
  const tokens = accepting.flatMap((providers, slot): readonly WitnessToken[] => {
    const claims = claimsOf(values, () => (slot === 0 ? 0 : 1));
    const provider = providers.find(({ issuer }) => issuer === '' || issuer === claims['iss']);
    if (provider === undefined) return [];
    const own = withArrays(claims, values, provider);
    const split = slot === 0 && accepting[1]?.length === 0 ? withSplitClaims(own, values) : own;
    return [{ claims: withOutputs(split, values, providers), provider }];
  });
  const request = requestOf(values);
  return {
    protocol,
    request: { ...request, path: rewrittenPath(values) ?? request.path, headers: [...request.headers, ...headersLeft(values, request)] },
    tokens,
    ...(invalidAt === undefined ? {} : { invalidTokenAt: invalidAt }),
    ...(companions.length === 0 ? {} : { companions }),
  };
}

/** Claims that are split at spaces are written as arrays, so that a value may contain a space. */
function withArrays(claims: Claims, values: Values, { spaceDelimitedClaims }: JwtProvider): Claims {
  const delimited = new Set(spaceDelimitedClaims);
  const names = [...values.keys()].flatMap((key) => (isClaimKey(key) ? [claimOfKey(key).path] : []));
  return names.reduce<Claims>((all, [name = '', ...rest]) => {
    const value = all[name];
    return rest.length === 0 && delimited.has(name) && typeof value === 'string' ? { ...all, [name]: [value] } : all;
  }, claims);
}

/** With claims of one token that the two sides split differently, and which therefore have values for both sides. */
function withSplitClaims(claims: Claims, values: Values): Claims {
  let all = claims;
  for (const key of values.keys()) {
    const { slot, path } = isClaimKey(key) ? claimOfKey(key) : { slot: 0, path: [] };
    const [name, ...rest] = path;
    if (slot === 0 || name === undefined || rest.length > 0) continue;
    const [own, other] = [listOf(values, `claim 0 ${JSON.stringify(path)}`), listOf(values, key)];
    const whole = [...own, ...other].find((text) => text.includes(' '));
    if (whole === undefined) continue;
    const known = new Set(whole.split(' '));
    all = { ...all, [name]: [...[...own, ...other].filter((text) => text !== whole && !known.has(text)), whole].join(' ') };
  }
  return all;
}

/** With the claims that set the headers which filters find behind the JWT rules. */
function withOutputs(claims: Claims, values: Values, providers: readonly JwtProvider[]): Claims {
  let all = claims;
  for (const key of values.keys()) {
    const name = key.startsWith('set ') ? changedHeaderOf(key) : undefined;
    const [value] = name === undefined ? [] : listOf(values, key);
    if (value === undefined) continue;
    for (const { header, claim } of providers.flatMap(({ claimHeaders }) => claimHeaders)) {
      if (header.toLowerCase() === name) all = withClaimAt(all, claim.split('.'), Buffer.from(value, 'latin1').toString('utf8'));
    }
  }
  return all;
}

function withClaimAt(claims: Claims, [name = '', ...rest]: readonly string[], text: string): Claims {
  const known: Json | undefined = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (rest.length === 0) return known === undefined ? { ...claims, [name]: text } : claims;
  const inner = typeof known === 'object' && known !== null && !Array.isArray(known) ? (known as Claims) : {};
  return known !== undefined && known !== inner ? claims : { ...claims, [name]: withClaimAt(inner, rest, text) };
}

/** The target that one filter finds when a JWT rule has removed a token from the query. */
function rewrittenPath(values: Values): string | undefined {
  return ([0, 1] as const).flatMap((side) => listOf(values, `set ${side} :path`))[0];
}

/** Headers that may hold tokens, and which are sent with another value. */
function headersLeft(values: Values, { headers }: WitnessRequest): readonly (readonly [string, string])[] {
  const sent = new Set(headers.map(([name]) => name));
  return [...values.keys()].flatMap((key) => {
    const name = key.startsWith('left ') ? changedHeaderOf(key) : undefined;
    return name === undefined || name.startsWith(':') || sent.has(name) ? [] : listOf(values, key).map((value) => [name, value] as const);
  });
}
