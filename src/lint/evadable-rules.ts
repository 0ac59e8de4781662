/*
 * Finds rules that a client can bypass by setting a header: addresses from X-Forwarded-For, and hosts that do not match if the
 * Host header has a port.
 */
import type { AuthorizationPolicy, Source } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { parseStringMatch } from '../policy/match/string-match.ts';
import { conditionsOf, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** Source fields that identify the peer independently of what the request contains. */
const PINS = ['ipBlocks', 'principals', 'namespaces', 'serviceAccounts', 'trustDomains'] as const satisfies readonly (keyof Source)[];
const PIN_KEY = /^source\.(?:ip|principal|namespace|serviceAccount|trustDomain)$/;

/** A warning for each address that a client can forge and each host that a port hides in `policy`. */
export function findEvadableRules(policy: AuthorizationPolicy): readonly Finding[] {
  const { action } = policy.spec;
  return rulesOf(policy).flatMap((placed) => [...forgeableAddresses(placed, action), ...hiddenHosts(placed, action)]);
}

/** If the rule also identifies the peer, that peer is trusted to report the client address. */
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
    message: 'the address is taken from X-Forwarded-For, which a client that reaches the pod directly can set to any value',
    hint:
      action === 'ALLOW'
        ? 'add ipBlocks with the addresses of your gateway to the same source, or allow only the gateway to reach the pod'
        : 'allow only your gateway to reach the pod: ALLOW with ipBlocks, or a NetworkPolicy',
  });
}

/** Only rules that an unrecognized host bypasses: hosts of a DENY rule, and excluded hosts of an ALLOW rule. */
function hiddenHosts({ rule, path }: PlacedRule, action: string): readonly Finding[] {
  const field = { ALLOW: 'notHosts', DENY: 'hosts' }[action] as 'notHosts' | 'hosts' | undefined;
  if (field === undefined) return [];
  return (rule.to ?? []).flatMap(({ operation = {} }, index) => {
    const hosts = operation[field] ?? [];
    const coversPorts = portCover(hosts);
    return hosts.flatMap((host, at) => {
      const isExact = parseStringMatch(host).kind === 'exact' && /^[^:/[\]]+$/.test(host);
      if (!isExact || coversPorts(host)) return [];
      const message = `${JSON.stringify(host)} does not match a request whose Host header has a port, such as ${host}:8080`;
      const hint = `add ${JSON.stringify(`${host}:*`)}`;
      return [warn({ code: 'SP_EVADABLE', path: `${path}.to[${index}].operation.${field}[${at}]`, message, hint })];
    });
  });
}

/** Tests whether one of `hosts` matches a given host with every port. */
function portCover(hosts: readonly string[]): (host: string) => boolean {
  const matches = hosts.map(parseStringMatch);
  if (matches.some(({ kind }) => kind === 'present')) return () => true;
  const prefixes = new Set(matches.flatMap((match) => (match.kind === 'prefix' ? [match.value.toLowerCase()] : [])));
  const lengths = [...new Set([...prefixes].map(({ length }) => length))];
  return (host) => {
    const start = `${host}:`.toLowerCase();
    return lengths.some((length) => length <= start.length && prefixes.has(start.slice(0, length)));
  };
}
