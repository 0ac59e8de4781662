/*
 * Makes policies invalid, because invalid policies become active if Istio's webhook was not available: copies a policy with one
 * change that admission rejects.
 */
import type { Draw } from './draw.ts';

type Tree = Record<string, unknown>;
type Spoil = (draw: Draw, spec: Tree, policy: Tree) => void;

const BAD_ADDRESSES = [
  '10.0.0',
  '10.0.0.0/33',
  'x',
  '',
  '::/129',
  '10.1.2.3/',
  'fe80::1%eth0/64',
  '010.0.0.1',
  '10.1.2.3/08',
  '1.2.3.4/-1',
];
const BAD_VALUES: Readonly<Record<string, readonly string[]>> = {
  ipBlocks: BAD_ADDRESSES,
  remoteIpBlocks: BAD_ADDRESSES,
  ports: ['x', '70000', '-1', '+80', '80 ', '8080.0', '', '0x50', '65536', '4294975376'],
  serviceAccounts: ['a/b/c', '/a', 'a/', '*', '', 'foo/*', 'a*', '/', 'foo//a'],
  trustDomains: ['a*b', '**', 'cluster.local/ns', '*td*', '', 'cl*al', '*/x'],
  // Envoy rejects most other templates that admission rejects.
  paths: ['/{x}', '/{*}/a*', '', '/{*}.json', '/admin/{*', '/admin*}', '/{x}*', '*{x}'],
  principals: [''],
  requestPrincipals: [''],
  namespaces: [''],
  hosts: [''],
  methods: [''],
};
const BAD_KEYS = [
  'request.headersX[x-user]',
  'request.headers',
  'request.headers[]',
  'request.headers[x-user',
  'request.headers[x-user]x',
  'request.auth.claimsX[groups]',
  'request.auth.claims',
  'request.auth.claims[]',
  'request.auth.claims[groups',
  'request.auth.claims[realm]roles',
  'request.auth.claims[realm]x[roles]',
  'request.auth.audience',
  'destination.name',
  'destination.namespace',
  'destination.user',
  'destination.labels[app]',
  'source.user',
  'source.labels[app]',
  'request.host',
  'request.path',
  'request.regex.headers[x]',
  'connection.snI',
  'experimental.envoy.filters.x',
  'experimental.x[y]',
  '',
];

function listsOf(node: unknown, found: { readonly holder: Tree; readonly field: string }[] = []): typeof found {
  if (typeof node !== 'object' || node === null) return found;
  for (const [field, value] of Object.entries(node)) {
    const isList = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
    if (isList) found.push({ holder: node as Tree, field });
    else listsOf(value, found);
  }
  return found;
}

/** Kind of values in an array, by its name or, for a condition, by the key of the condition. */
function kindOf({ holder, field }: { readonly holder: Tree; readonly field: string }): string {
  if (!/^(notV|v)alues$/.test(field)) return field.replace(/^not(.)/, (_, first: string) => first.toLowerCase());
  const key = String(holder['key']);
  if (key.endsWith('.ip')) return 'ipBlocks';
  return { 'destination.port': 'ports', 'source.serviceAccount': 'serviceAccounts', 'source.trustDomain': 'trustDomains' }[key] ?? 'hosts';
}

/** One invalid value in an array, alone or with valid ones. */
function spoilValue(draw: Draw, spec: Tree): void {
  const lists = listsOf(spec['rules']);
  if (lists.length === 0) return;
  const chosen = draw.pick(lists);
  const bad = draw.pick(BAD_VALUES[kindOf(chosen)] ?? ['']);
  const values = chosen.holder[chosen.field] as readonly string[];
  chosen.holder[chosen.field] = draw.pick([[bad], [bad, ...values], [...values, bad]]);
}

function rulesOf(spec: Tree): Tree[] {
  return (spec['rules'] ?? []) as Tree[];
}

/** Adds an invalid condition to a rule. */
function spoilCondition(draw: Draw, spec: Tree): void {
  const [rule] = draw.some(rulesOf(spec), 1, 1);
  if (rule === undefined) return;
  const list = draw.pick<object>([{ values: ['alice'] }, { notValues: ['alice'] }, { values: ['*'] }, { values: ['a'], notValues: ['b'] }]);
  const condition = draw.chance(0.85)
    ? { key: draw.pick(BAD_KEYS), ...list }
    : { key: draw.pick(['request.headers[x-user]', 'source.ip']) };
  rule['when'] = [...((rule['when'] ?? []) as object[]), condition];
}

/** An empty entry of a rule, or one with an invalid member. */
function spoilEntry(draw: Draw, spec: Tree): void {
  const [rule] = draw.some(rulesOf(spec), 1, 1);
  if (rule === undefined) return;
  Object.assign(
    rule,
    draw.pick<object>([
      { from: [{}] },
      { to: [{}] },
      { from: [{ source: {} }] },
      { to: [{ operation: {} }] },
      { from: [], to: [] },
      { from: [{ source: { ipBlocks: [] } }] },
      { to: [{ operation: { paths: [] } }, { operation: { methods: ['GET'] } }] },
      { from: [{ source: { serviceAccounts: ['foo/a'], namespaces: ['foo'] } }] },
      { from: [{ source: { notServiceAccounts: ['foo/a'], principals: ['*'] } }] },
      { from: [{ source: { requestPrincipals: ['*'] } }] },
      { from: [{ source: { notPrincipals: ['cluster.local/ns/foo/sa/a'] } }] },
      { when: [{ key: 'request.auth.principal', values: ['*'] }] },
      { when: [{ key: 'source.namespace', notValues: ['foo'] }] },
    ]),
  );
}

/** Top-level members of the spec. */
function spoilWhole(draw: Draw, spec: Tree, policy: Tree): void {
  draw.pick<() => void>([
    () => void delete spec['rules'],
    () => void delete spec['provider'],
    () => void (spec['provider'] = draw.pick<unknown>([{ name: 'ext-http' }, { name: '' }, {}])),
    () => void (spec['action'] = draw.pick(['AUDIT', 'CUSTOM', 'DENY', 'ALLOW'])),
    () => void (spec['rules'] = []),
    () => void (spec['selector'] = { matchLabels: { app: '*' } }),
    () => void (spec['selector'] = { matchLabels: { '': 'app' } }),
    () =>
      void (policy['metadata'] = {
        ...(policy['metadata'] as object),
        annotations: { 'istio.io/dry-run': draw.pick(['true', 'yes', '', 'TRUE', 'tRUE', '1 ', 'false']) },
      }),
  ])();
}

const SPOILS: readonly Spoil[] = [spoilValue, spoilValue, spoilValue, spoilCondition, spoilCondition, spoilEntry, spoilWhole];

/** A copy of an AuthorizationPolicy with one change that admission usually rejects. */
export function spoilPolicy(draw: Draw, policy: object): object {
  const copy = structuredClone(policy) as Tree;
  const spec = copy['spec'] as Tree;
  draw.pick(SPOILS)(draw, spec, copy);
  return copy;
}

/** A copy of a RequestAuthentication with one change that admission rejects. */
export function spoilAuthentication(draw: Draw, policy: object): object {
  const copy = structuredClone(policy) as Tree;
  const { jwtRules } = copy['spec'] as { jwtRules: Tree[] };
  const rule = draw.pick(jwtRules);
  Object.assign(
    rule,
    draw.pick<object>([
      { issuer: '' },
      { audiences: [''] },
      { audiences: ['', 'aud-1'] },
      { fromHeaders: [{ name: '' }] },
      { fromHeaders: [{ name: 'x jwt' }] },
      { fromParams: [''] },
      { fromCookies: [''] },
      { outputClaimToHeaders: [{ header: 'x y', claim: 'sub' }] },
      { outputClaimToHeaders: [{ header: 'x-claim', claim: '' }] },
      { outputPayloadToHeader: 'x y' },
      { timeout: '0s' },
      { timeout: '1500us' },
      { spaceDelimitedClaims: [''] },
      { jwksUri: 'ftp://keys.example.com/0', jwks: '' },
      { jwksUri: 'https://keys.example.com/0' },
    ]),
  );
  return copy;
}
