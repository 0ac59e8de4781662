/*
 * Rules that a client gets around by what it writes into a header. In: one policy. Out: a warning for each address that
 * comes out of X-Forwarded-For and each host that another port hides. Called by lintPolicy.
 */
import type { AuthorizationPolicy, Source } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** What says who sent the request, beside what the request says of itself. */
const PINS = ['ipBlocks', 'principals', 'namespaces', 'serviceAccounts', 'trustDomains'] as const satisfies readonly (keyof Source)[];
const PIN_KEY = /^source\.(?:ip|principal|namespace|serviceAccount|trustDomain)$/;

/** The traps of forged addresses and of hosts with a port in one policy. */
export function findEvadableRules(policy: AuthorizationPolicy): readonly Finding[] {
  const { action } = policy.spec;
  return rulesOf(policy).flatMap((placed) => [...forgeableAddresses(placed, action), ...hiddenHosts(placed, action)]);
}

/** Where the rule also says who the peer is, that peer is trusted to tell for whom it speaks. */
function forgeableAddresses(placed: PlacedRule, action: string): readonly Finding[] {
  const conditions = conditionsOf(placed);
  if (action === 'ALLOW' && conditions.some(({ condition }) => PIN_KEY.test(condition.key) && condition.values !== undefined)) return [];
  const isPinned = (source: Source): boolean => action === 'ALLOW' && PINS.some((field) => source[field] !== undefined);
  const sources = sourcesOf(placed);
  const inSources = sources.flatMap(({ source, path }) =>
    isPinned(source)
      ? []
      : (['remoteIpBlocks', 'notRemoteIpBlocks'] as const)
          .filter((field) => source[field] !== undefined)
          .map((field) => forgeable(`${path}.${field}`, action)),
  );
  const areAllPinned = sources.length > 0 && sources.every(({ source }) => isPinned(source));
  const inConditions = areAllPinned ? [] : conditions.filter(({ condition }) => condition.key === 'remote.ip');
  return [...inSources, ...inConditions.map(({ path }) => forgeable(`${path}.key`, action))];
}

function forgeable(path: string, action: string): Finding {
  return warn({
    code: 'SP_EVADABLE',
    path,
    message: 'the address comes out of X-Forwarded-For: a client that reaches the pod itself can write any',
    hint:
      action === 'ALLOW'
        ? 'add ipBlocks with the addresses of your gateway to the same source, or let only the gateway reach the pod'
        : 'let only your gateway reach the pod: ALLOW with ipBlocks, or a network policy',
  });
}

/** Only where a host that is not recognized opens the door: what DENY names, and what ALLOW excludes. */
function hiddenHosts({ rule, path }: PlacedRule, action: string): readonly Finding[] {
  const field = { ALLOW: 'notHosts', DENY: 'hosts' }[action] as 'notHosts' | 'hosts' | undefined;
  if (field === undefined) return [];
  return (rule.to ?? []).flatMap(({ operation = {} }, index) => {
    const hosts = operation[field] ?? [];
    return hosts.flatMap((host, at) => {
      const isExact = parseStringMatch(host).kind === 'exact' && /^[^:/[\]]+$/.test(host);
      if (!isExact || hosts.some((other) => other !== host && coversPorts(other, host))) return [];
      const message = `${JSON.stringify(host)} is not met by a request whose Host has a port, such as ${host}:8080`;
      const hint = `add ${JSON.stringify(`${host}:*`)}`;
      return [warn({ code: 'SP_EVADABLE', path: `${path}.to[${index}].operation.${field}[${at}]`, message, hint })];
    });
  });
}

function coversPorts(pattern: string, host: string): boolean {
  const match = parseStringMatch(pattern);
  return match.kind === 'present' || (match.kind === 'prefix' && `${host}:`.toLowerCase().startsWith(match.value.toLowerCase()));
}
