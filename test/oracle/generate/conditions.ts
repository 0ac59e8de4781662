/*
 * Generates conditions of policies (`rules[].when[]`) with every key.
 */
import type { Draw } from './draw.ts';
import {
  accounts,
  domains,
  ips,
  type Make,
  namespaces,
  type PolicyScope,
  ports,
  principals,
  remoteIps,
  requestPrincipals,
} from './policy-values.ts';
import { ipValue, stringValue } from './values.ts';
import { HEADER_NAMES, HEADER_VALUES, SNIS } from './vocabulary.ts';

const ODD_CLAIM_KEYS: readonly string[] = [
  'request.auth.claims[a][b]',
  'request.auth.claims[a.b]',
  'request.auth.claims[a[b]]',
  'request.auth.claims[[a]]',
  'request.auth.claims[a] [b]',
  'request.auth.claims[a]x[b]',
  'request.auth.claims[ groups ]',
  'request.auth.claims["groups"]',
  'request.auth.claims[realm.tenant]',
  'request.auth.claims[Groups]',
  'request.auth.claims[realm][deep][odd][a]',
  'request.auth.claims[realm]]',
  'request.auth.claims[/]',
  'request.auth.claims[ü]',
];
const METADATA_KEYS: readonly string[] = [
  'experimental.envoy.filters.network.mysql_proxy[db.table]',
  'experimental.envoy.filters.http.jwt_authn[payload]',
  'experimental.envoy.filters.http.ext_authz[x]',
  'experimental.envoy.filters.http.rbac[istio_dry_run_deny_shadow_engine_result]',
  'experimental.envoy.filters.a[b][c]',
  'experimental.envoy.filters.[x]',
];
const METADATA_VALUES: readonly string[] = ['[select]', 'select', '*', '[*]', 'sel*', '*ect', '[sel*]', '[[x]]', 'denied'];

/** One condition. @param custom only keys that are valid with CUSTOM */
export function condition(draw: Draw, scope: PolicyScope, custom: boolean): object {
  const [key, make] = conditionKey(draw, scope, custom);
  const values = (): readonly string[] => draw.times(1 + draw.upTo(1), () => make(draw, scope));
  const both = draw.chance(0.15);
  const positive = both || draw.chance(0.65);
  return { key, ...(positive ? { values: values() } : {}), ...(both || !positive ? { notValues: values() } : {}) };
}

function conditionKey(draw: Draw, scope: PolicyScope, custom: boolean): readonly [string, Make] {
  const header: Make = (source) => stringValue(source, source.pick(HEADER_VALUES));
  const claim: Make = (source) => stringValue(source, source.pick(scope.claims));
  const early: readonly (readonly [string, Make])[] = [
    [
      `request.headers[${draw.pick([...HEADER_NAMES, ':path', ':method', ':authority', 'host', ':scheme', 'x-forwarded-for', 'content-length', 'x-missing'])}]`,
      header,
    ],
    ['source.ip', ips],
    ['remote.ip', remoteIps],
    ['destination.ip', (source, { ip }) => ipValue(source, ip)],
    ['destination.port', ports],
    ['connection.sni', (source) => stringValue(source, source.pick(SNIS))],
  ];
  const late: readonly (readonly [string, Make])[] = [
    ['source.namespace', namespaces],
    ['source.principal', principals],
    ['source.serviceAccount', accounts],
    ['source.trustDomain', domains],
    ['request.auth.principal', requestPrincipals],
    ['request.auth.audiences', claim],
    ['request.auth.presenter', claim],
    [
      `request.auth.claims[${draw.pick(['groups', 'scope', 'custom', 'sub', 'iss', 'aud', 'level', 'permission', 'missing', 'a.b', 'exp', 'https://x/y', 'odd', ''])}]`,
      claim,
    ],
    [`request.auth.claims[realm][${draw.pick(['roles', 'tenant', 'missing'])}]`, claim],
    ['request.auth.claims[realm][deep][list]', claim],
    [draw.pick(ODD_CLAIM_KEYS), claim],
    [draw.pick(METADATA_KEYS), (source) => source.pick(METADATA_VALUES)],
  ];
  const usable =
    scope.tcp && draw.chance(0.8) ? [...early.slice(1), ...(custom ? [] : late.slice(0, 4))] : custom ? early : [...early, ...late];
  return draw.pick(usable);
}
