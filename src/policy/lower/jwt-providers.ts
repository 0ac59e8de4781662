/*
 * Lowers RequestAuthentications to JWT providers, in the order in which they are tried.
 * @see istio pilot/pkg/security/authn/policy_applier.go
 */
import type { JwtRule, RequestAuthentication } from '../../api/istio/resources.ts';
import { toByteString } from '../match/string-match.ts';
import type { JwtProvider, Provenance } from '../model/program.ts';
import { compareBytes, sortPolicies } from './order.ts';

const ALWAYS_SPLIT: readonly string[] = ['permission', 'scope'];
const DEFAULT_HEADERS: JwtProvider['headers'] = [{ name: 'authorization', prefix: 'Bearer ' }];
const DEFAULT_PARAMS: readonly string[] = ['access_token'];

interface SourcedRule {
  readonly rule: JwtRule;
  readonly source: Provenance;
}

/**
 * The providers of all rules, sorted by issuer (an absent one first). Equal issuers are in the order of their policies: those of the
 * workload's namespace before those of the root namespace, oldest first.
 */
export function lowerJwtProviders(
  policies: readonly RequestAuthentication[],
  namespace: string,
  keySetId: (rule: JwtRule, source: Provenance) => string,
): readonly JwtProvider[] {
  const sorted = sortPolicies(policies);
  const own = sorted.filter(({ metadata }) => metadata.namespace === namespace);
  const others = sorted.filter(({ metadata }) => metadata.namespace !== namespace);
  return [...own, ...others]
    .flatMap(rulesOf)
    .sort((left, right) => compareBytes(left.rule.issuer ?? '', right.rule.issuer ?? ''))
    .map((sourced, index) => toProvider(sourced, `origins-${index}`, keySetId(sourced.rule, sourced.source)));
}

function rulesOf({ metadata, spec }: RequestAuthentication): readonly SourcedRule[] {
  const { namespace, name, generation = 0 } = metadata;
  return (spec.jwtRules ?? []).map((rule, index) => ({
    rule,
    source: { kind: 'RequestAuthentication', namespace, name, generation, rule: index },
  }));
}

function uniqueSorted(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort(compareBytes);
}

function toProvider({ rule, source }: SourcedRule, name: string, keySet: string): JwtProvider {
  return {
    name,
    source,
    issuer: rule.issuer ?? '',
    audiences: rule.audiences ?? [],
    ...locationsOf(rule),
    forward: rule.forwardOriginalToken ?? false,
    payloadHeader: (rule.outputPayloadToHeader ?? '').toLowerCase(),
    claimHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({ header: header.toLowerCase(), claim })),
    spaceDelimitedClaims: uniqueSorted([...ALWAYS_SPLIT, ...(rule.spaceDelimitedClaims ?? [])]),
    keySet,
    required: rule.presence === 'REQUIRED',
  };
}

/** Any explicit location disables all defaults. Envoy keeps locations in maps: sorted and unique; names are bytes, as in requests. */
function locationsOf(rule: JwtRule): Pick<JwtProvider, 'headers' | 'params' | 'cookies'> {
  const { fromHeaders = [], fromParams = [], fromCookies = [] } = rule;
  if (fromHeaders.length === 0 && fromParams.length === 0 && fromCookies.length === 0) {
    return { headers: DEFAULT_HEADERS, params: DEFAULT_PARAMS, cookies: [] };
  }
  const headers = new Map<string, JwtProvider['headers'][number]>();
  for (const header of fromHeaders) {
    const name = header.name.toLowerCase();
    const prefix = toByteString(header.prefix ?? '');
    headers.set(name + prefix, { name, prefix });
  }
  const sorted = [...headers].sort(([left], [right]) => compareBytes(left, right)).map(([, header]) => header);
  return { headers: sorted, params: uniqueSorted(fromParams.map(toByteString)), cookies: uniqueSorted(fromCookies.map(toByteString)) };
}
