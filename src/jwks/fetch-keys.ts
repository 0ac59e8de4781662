/*
 * One attempt to fetch the keys of a source: a JWKS URL, or an issuer whose OpenID configuration names the JWKS.
 */
import type { JwtRule } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import { parseJwks } from '../jwt/parse-jwks.ts';
import type { AddressGuard } from './address-guard.ts';
import { type FetchContext, type FetchLimits, fetchDocument } from './fetch-document.ts';
import { displayUrl, FetchFailure, FetchTrail } from './fetch-failure.ts';

/** Where keys come from. `keys`: the URL of a JWKS. `discovery`: the URL of an OpenID provider's configuration, which names the JWKS. */
export interface KeySource {
  readonly kind: 'keys' | 'discovery';
  readonly url: string;
}

/** Below the issuer. @see https://openid.net/specs/openid-connect-discovery-1_0.html */
const DISCOVERY_PATH = '/.well-known/openid-configuration';
const MAX_ISSUER_LENGTH = 256;

/** The result of a successful attempt. */
export interface FetchedKeys {
  /** At least one usable key. */
  readonly keySet: KeySet;
  /** One sentence for each key of the document that is not usable. */
  readonly leftOut: readonly string[];
  /** The shortest max-age of the responses; `undefined`: none has one. */
  readonly maxAgeSeconds: number | undefined;
}

/**
 * The source of a rule's keys; `undefined`: the keys are inline, or the rule has neither keys nor an issuer.
 *
 * @see istio.io/api security/v1 JWTRule.jwksUri: without it, OpenID discovery below the issuer
 */
export function keySourceOf(rule: JwtRule): KeySource | undefined {
  if (rule.jwks !== undefined && rule.jwks !== '') return undefined;
  if (rule.jwksUri !== undefined && rule.jwksUri !== '') return { kind: 'keys', url: rule.jwksUri };
  if (rule.issuer === undefined || rule.issuer === '') return undefined;
  return { kind: 'discovery', url: `${rule.issuer.replace(/\/$/, '')}${DISCOVERY_PATH}` };
}

/** How one source is fetched. */
export interface FetchRights {
  readonly limits: FetchLimits;
  /** Of the namespaces of the policies that name the source. */
  readonly guard: AddressGuard;
}

/**
 * Fetches and checks the keys of `source` within the deadline of `signal`.
 *
 * @throws FetchFailure
 */
export async function fetchKeys(source: KeySource, { limits, guard }: FetchRights, signal: AbortSignal): Promise<FetchedKeys> {
  const context: FetchContext = { limits, guard, trail: new FetchTrail(source.url, guard), signal };
  if (source.kind === 'keys') return fetchKeySet(source.url, context);
  if (!/^https?:$/.test(URL.parse(source.url)?.protocol ?? '')) throw notDiscoverable(source.url, context);
  const configuration = await fetchDocument(source.url, context);
  const uri = jwksUriOf(configuration.text);
  if (uri === undefined) throw new FetchFailure(`${displayUrl(source.url)} names no jwks_uri`, context);
  const keys = await fetchKeySet(uri, context);
  const ages = [configuration.maxAgeSeconds, keys.maxAgeSeconds].filter((age): age is number => age !== undefined);
  return { ...keys, maxAgeSeconds: ages.length === 0 ? undefined : Math.min(...ages) };
}

function notDiscoverable(url: string, context: FetchContext): FetchFailure {
  const issuer = JSON.stringify(url.slice(0, -DISCOVERY_PATH.length).slice(0, MAX_ISSUER_LENGTH));
  return new FetchFailure(`the keys of issuer ${issuer} cannot be discovered, because it is not an http(s) URL: add jwksUri`, context);
}

async function fetchKeySet(url: string, context: FetchContext): Promise<FetchedKeys> {
  const document = await fetchDocument(url, context);
  // A symmetric key that anyone can download is not secret: a token signed with it proves nothing.
  const { keys, problems, leftOut } = parseJwks(document.text, { symmetric: false });
  if (keys.length === 0) {
    throw new FetchFailure(`${displayUrl(url)} contains no usable key (${problems[0] ?? 'it contains no keys'})`, context);
  }
  return { keySet: { source: displayUrl(url), keys }, leftOut, maxAgeSeconds: document.maxAgeSeconds };
}

function jwksUriOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('jwks_uri' in value)) return undefined;
    return typeof value.jwks_uri === 'string' && value.jwks_uri !== '' ? value.jwks_uri : undefined;
  } catch {
    // The caller reports that the configuration names no keys.
    return undefined;
  }
}
