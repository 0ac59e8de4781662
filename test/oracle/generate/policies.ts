/*
 * AuthorizationPolicies of every field. In: draws and the vocabulary of the case. Out: Kubernetes objects. Most pass
 * admission; some are meant not to.
 */
import type { Draw } from './draw.ts';
import { ipValue, pathValue, stringValue } from './values.ts';
import { FORWARDED, HEADER_NAMES, HEADER_VALUES, HOSTS, IPS, METHODS, PATHS, PRINCIPALS, SNIS } from './vocabulary.ts';

export interface PolicyScope {
  readonly namespace: string;
  readonly rootNamespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly ports: readonly number[];
  /** Words of the tokens in play. */
  readonly issuers: readonly string[];
  readonly subjects: readonly string[];
  readonly claims: readonly string[];
  /** Names of external authorizers; empty: no CUSTOM. */
  readonly providers: readonly string[];
  /** Only what a TCP connection has, most of the time. */
  readonly tcp: boolean;
}

type Lists = Readonly<Record<string, readonly string[]>>;
type Make = (draw: Draw, scope: PolicyScope) => string;

const bare = (principal: string): string => (principal.split(',')[0] ?? '').replace('spiffe://', '');
const accounts: Make = (draw) =>
  draw.pick(['a', 'default', 'web', 'foo/a', 'bar/a', 'prod-1/web', 'foo/default', 'foo/b', 'prod/b', 'FOO/A', 'foo/sa']);
const namespaces: Make = (draw) =>
  draw.pick([
    'foo',
    'bar',
    'prod',
    'prod-1',
    'prod*',
    '*-1',
    '*',
    'p*1',
    'fo',
    'f*o',
    'oo',
    '*o*',
    'FOO',
    'f.o',
    'ns',
    'foo/sa',
    '*foo*',
    '**',
    'sa',
    'prod-*',
  ]);
const principals: Make = (draw) => stringValue(draw, bare(draw.pick(PRINCIPALS)));
const domains: Make = (draw) =>
  draw.pick([
    'cluster.local',
    'td1',
    'old-td',
    'other-td',
    '*',
    'cluster*',
    '*.local',
    '*td',
    'td*',
    'clusterxlocal',
    'CLUSTER.local',
    'cluster.loca',
    '*-td',
    'td',
  ]);
const requestPrincipals: Make = (draw, { issuers, subjects }) => stringValue(draw, `${draw.pick(issuers)}/${draw.pick(subjects)}`);
const ips: Make = (draw, { ip }) => ipValue(draw, draw.pick([...IPS, ip]));
const remoteIps: Make = (draw) =>
  ipValue(
    draw,
    draw.pick(
      draw.chance(0.7) ? IPS : FORWARDED.filter((text) => /^[0-9.]+$|^[0-9a-fA-F:]+$/.test(text) && text.length > 6 && !/\.0\d/.test(text)),
    ),
  );
const ports: Make = (draw, scope) => draw.pick([...scope.ports.map(String), '8080', '80', '0', '65535', '08080']);
const hosts: Make = (draw) => stringValue(draw, draw.pick(HOSTS.filter((host) => host.length > 1)));
const methods: Make = (draw) => stringValue(draw, draw.pick(METHODS));
const paths: Make = (draw) => pathValue(draw, draw.pick(PATHS));

const SOURCES: Readonly<Record<string, Make>> = {
  principals,
  requestPrincipals,
  namespaces,
  serviceAccounts: accounts,
  trustDomains: domains,
  ipBlocks: ips,
  remoteIpBlocks: remoteIps,
};
const OPERATIONS: Readonly<Record<string, Make>> = { hosts, ports, methods, paths };
/** Fields that admission takes with CUSTOM. */
const BEFORE_IDENTITY: ReadonlySet<string> = new Set(['ipBlocks', 'remoteIpBlocks']);
const NO_HTTP: ReadonlySet<string> = new Set([
  'principals',
  'namespaces',
  'serviceAccounts',
  'trustDomains',
  'ipBlocks',
  'remoteIpBlocks',
  'ports',
]);

function lists(draw: Draw, scope: PolicyScope, fields: Readonly<Record<string, Make>>, allowed: (field: string) => boolean): Lists {
  const names = draw.some(Object.keys(fields).filter(allowed), 1, 2);
  const made: Record<string, readonly string[]> = {};
  for (const name of names) {
    const make = fields[name] as Make;
    const values = (): readonly string[] => draw.times(1 + draw.upTo(2), () => make(draw, scope));
    if (draw.chance(0.7)) made[name] = values();
    if (made[name] === undefined || draw.chance(0.15)) made[`not${name.charAt(0).toUpperCase()}${name.slice(1)}`] = values();
  }
  // Admission refuses this pair; now and then it may show that it does.
  if (Object.keys(made).some((name) => /serviceAccounts/i.test(name)) && !draw.chance(0.05)) {
    for (const name of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']) delete made[name];
  }
  return made;
}

function condition(draw: Draw, scope: PolicyScope, custom: boolean): object {
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
  ];
  const usable =
    scope.tcp && draw.chance(0.8) ? [...early.slice(1), ...(custom ? [] : late.slice(0, 4))] : custom ? early : [...early, ...late];
  return draw.pick(usable);
}

function rule(draw: Draw, scope: PolicyScope, custom: boolean): object {
  const plain = scope.tcp && draw.chance(0.8);
  const source = (): object => ({
    source: lists(draw, scope, SOURCES, (name) => (custom ? BEFORE_IDENTITY.has(name) : !plain || NO_HTTP.has(name))),
  });
  const operation = (): object => ({ operation: lists(draw, scope, OPERATIONS, (name) => !plain || NO_HTTP.has(name)) });
  return {
    ...draw.maybe(0.45, () => ({ from: draw.times(1 + draw.upTo(1), source) })),
    ...draw.maybe(0.55, () => ({ to: draw.times(1 + draw.upTo(1), operation) })),
    ...draw.maybe(0.4, () => ({ when: draw.times(1 + draw.upTo(1), () => condition(draw, scope, custom)) })),
  };
}

/** One AuthorizationPolicy. @param index tells its name from the others' */
export function authorizationPolicy(draw: Draw, scope: PolicyScope, index: number): object {
  const action = draw.pick([
    'ALLOW',
    'ALLOW',
    'ALLOW',
    'DENY',
    'DENY',
    'AUDIT',
    ...(scope.providers.length > 0 ? ['CUSTOM', 'CUSTOM'] : []),
  ]);
  const custom = action === 'CUSTOM';
  const empty = !custom && action !== 'DENY' && draw.chance(0.05);
  const rules = empty ? undefined : draw.times(1 + draw.upTo(2), () => rule(draw, scope, custom));
  const dryRun = (action === 'ALLOW' || action === 'DENY') && draw.chance(0.12);
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: {
      name: `${draw.pick(['ap', 'zz', 'a'])}-${index}`,
      namespace: draw.pick([scope.namespace, scope.namespace, scope.namespace, scope.rootNamespace, 'elsewhere']),
      ...(dryRun ? { annotations: { 'istio.io/dry-run': draw.pick(['true', 'true', 'T', '1', 'false']) } } : {}),
    },
    spec: {
      ...(action === 'ALLOW' && draw.chance(0.5) ? {} : { action }),
      ...draw.maybe(0.3, () => ({
        selector: { matchLabels: draw.pick([scope.labels, { app: 'other' }, {}, { app: scope.labels['app'] ?? '' }]) },
      })),
      ...(custom ? { provider: { name: draw.pick(scope.providers) } } : {}),
      ...(rules === undefined ? {} : { rules }),
    },
  };
}
