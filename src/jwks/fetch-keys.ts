/*
 * One attempt to get the keys of one source. In: where they are (a JWKS URL, or an issuer to discover) and limits. Out: a
 * key set with at least one usable key, or TransientError saying what is wrong. Called by the keeper, never on a request.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { TransientError } from '../errors.ts';
import { parseJwks } from '../jwt/parse-jwks.ts';
import { displayUrl, type FetchLimits, fetchDocument } from './fetch-document.ts';

/** `keys`: a URL of a JWKS. `discovery`: a URL of an OpenID provider's configuration, which names the JWKS. */
export interface KeySource {
  readonly kind: 'keys' | 'discovery';
  readonly url: string;
}

export interface FetchedKeys {
  readonly keySet: KeySet;
  /** The shortest of what the answers allow; undefined when none says anything. */
  readonly maxAgeSeconds: number | undefined;
}

/**
 * Where a rule's keys have to be fetched from; undefined for inline keys, and for a rule that names neither keys nor issuer.
 *
 * @see istio.io/api security/v1 JWTRule.jwksUri: without it, OpenID discovery below the issuer
 */
export function keySourceOf(rule: JwtRule): KeySource | undefined {
  if (rule.jwks !== undefined && rule.jwks !== '') return undefined;
  if (rule.jwksUri !== undefined && rule.jwksUri !== '') return { kind: 'keys', url: rule.jwksUri };
  if (rule.issuer === undefined || rule.issuer === '') return undefined;
  return { kind: 'discovery', url: `${rule.issuer.replace(/\/$/, '')}/.well-known/openid-configuration` };
}

/** Fetches and checks the keys of `source` within the deadline of `signal`. @throws TransientError SP_JWKS_FETCH */
export async function fetchKeys(source: KeySource, limits: FetchLimits, signal: AbortSignal): Promise<FetchedKeys> {
  if (source.kind === 'keys') return fetchKeySet(source.url, limits, signal);
  const configuration = await fetchDocument(source.url, limits, signal);
  const uri = jwksUriOf(configuration.text);
  if (uri === undefined) throw new TransientError('SP_JWKS_FETCH', `${displayUrl(source.url)} names no jwks_uri`);
  const keys = await fetchKeySet(uri, limits, signal);
  const ages = [configuration.maxAgeSeconds, keys.maxAgeSeconds].filter((age): age is number => age !== undefined);
  return { keySet: keys.keySet, maxAgeSeconds: ages.length === 0 ? undefined : Math.min(...ages) };
}

async function fetchKeySet(url: string, limits: FetchLimits, signal: AbortSignal): Promise<FetchedKeys> {
  const document = await fetchDocument(url, limits, signal);
  // A symmetric key that anybody can download is no secret: a token signed with it proves nothing.
  const { keys, problems } = parseJwks(document.text, { symmetric: false });
  if (keys.length === 0) {
    throw new TransientError('SP_JWKS_FETCH', `${displayUrl(url)} holds no usable key (${problems[0] ?? 'it has none at all'})`);
  }
  return { keySet: { source: displayUrl(url), keys }, maxAgeSeconds: document.maxAgeSeconds };
}

function jwksUriOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('jwks_uri' in value)) return undefined;
    return typeof value.jwks_uri === 'string' && value.jwks_uri !== '' ? value.jwks_uri : undefined;
  } catch {
    // Not JSON names no keys: the caller says so.
    return undefined;
  }
}
