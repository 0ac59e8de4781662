/*
 * Generates AuthorizationPolicies with every field. Most pass admission; some are intentionally invalid.
 */
import { condition } from './conditions.ts';
import type { Draw } from './draw.ts';
import { createdAt, targetsOf } from './metadata.ts';
import {
  accounts,
  domains,
  hosts,
  ips,
  type Make,
  methods,
  namespaces,
  type PolicyScope,
  paths,
  ports,
  principals,
  remoteIps,
  requestPrincipals,
} from './policy-values.ts';

type Lists = Readonly<Record<string, readonly string[]>>;
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
/** Fields that admission accepts with CUSTOM. */
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
  // Admission rejects this combination; it is generated rarely, to test that.
  if (Object.keys(made).some((name) => /serviceAccounts/i.test(name)) && !draw.chance(0.05)) {
    for (const name of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']) delete made[name];
  }
  return made;
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

/** One AuthorizationPolicy. @param index makes its name unique */
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
      ...createdAt(draw),
      ...(dryRun ? { annotations: { 'istio.io/dry-run': draw.pick(['true', 'true', 'T', '1', 'false']) } } : {}),
    },
    spec: {
      ...(action === 'ALLOW' && draw.chance(0.5) ? {} : { action }),
      ...(draw.chance(0.04)
        ? targetsOf(draw)
        : draw.maybe(0.3, () => ({
            selector: { matchLabels: draw.pick([scope.labels, { app: 'other' }, {}, { app: scope.labels['app'] ?? '' }]) },
          }))),
      ...(custom ? { provider: { name: draw.pick(scope.providers) } } : {}),
      ...(rules === undefined ? {} : { rules }),
    },
  };
}
