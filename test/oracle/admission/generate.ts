/*
 * Generates objects for the comparison of admissions: from a seed field by field, or a recorded one with changed values. Names
 * and namespaces stay valid, because only the API server validates them.
 */
import type { Random } from '../../fuzz/random.ts';
import { conditionValue, labelKey, valueFor, wrongType } from './odd-values.ts';

/** A Kubernetes object with arbitrary content. */
export interface OddObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly annotations?: unknown };
  readonly spec?: unknown;
}

type Tree = Record<string, unknown>;

const SOURCE_FIELDS = ['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'trustDomains', 'ipBlocks', 'remoteIpBlocks'];
const OPERATION_FIELDS = ['hosts', 'ports', 'methods', 'paths'];
const KINDS = ['AuthorizationPolicy', 'RequestAuthentication'] as const;
const DRY_RUN_VALUES = ['true', 'false', '1', 't', 'x', '', 'TRUE', 'tRUE', ' true', '"', '\u0007', 'é', '💥'];
const ANNOTATIONS = [
  'istio.io/dry-run',
  'a',
  'internal.istio.io/webhook-always-reject',
  'internal.istio.io/parents',
  'internal.istio.io/parent-namespace',
  'sallyport.dev/x',
];
const COUNTS = [16, 17, 64, 65, 512, 513, 4096, 4097];

/** A generated object or a modified recorded one, with equal probability. */
export function oddObject(random: Random, recorded: readonly OddObject[]): OddObject {
  const object = random.next() < 0.5 ? madeUp(random) : structuredClone(random.pick(recorded));
  let changes = random.next() < 0.35 ? 0 : 1 + random.below(3);
  const tree = object as unknown as Tree;
  for (; changes > 0; changes -= 1) changeSomewhere(tree, random);
  // As it would arrive over the network: without shared values, and within the range of JSON.
  return JSON.parse(JSON.stringify(object)) as OddObject;
}

function madeUp(random: Random): OddObject {
  const kind = random.pick(KINDS);
  const spec =
    kind === 'AuthorizationPolicy'
      ? authorizationSpec(random)
      : { ...targets(random), ...maybe(random, 0.95, 'jwtRules', () => list(random, 3, () => jwtRule(random))) };
  const metadata = {
    name: 'p',
    namespace: 'foo',
    ...maybe(random, 0.08, 'annotations', () => annotations(random)),
    ...maybe(random, 0.04, 'labels', () => (random.next() < 0.7 ? labels(random) : wrongType(random))),
  };
  const version = random.next() < 0.98 ? random.pick(['v1', 'v1beta1']) : random.pick(['v1alpha1', 'v2', '']);
  const extra = random.next() < 0.02 ? { [random.pick(['status', 'data', 'x"y', 'é', '\u0007', ''])]: wrongType(random) } : {};
  return { apiVersion: `security.istio.io/${version}`, kind, metadata, ...(random.next() < 0.99 ? { spec } : {}), ...extra };
}

function annotations(random: Random): Tree {
  return Object.fromEntries(
    list(random, 2, () => [random.pick(ANNOTATIONS), random.next() < 0.95 ? random.pick(DRY_RUN_VALUES) : wrongType(random)]),
  ) as Tree;
}

function authorizationSpec(random: Random): Tree {
  return {
    ...targets(random),
    ...maybe(random, 0.7, 'action', () => valueFor('action', random)),
    ...maybe(random, 0.25, 'provider', () => (random.next() < 0.7 ? { name: valueFor('', random) } : {})),
    ...maybe(random, 0.92, 'rules', () => list(random, 3, () => rule(random))),
  };
}

function targets(random: Random): Tree {
  return {
    ...maybe(random, 0.2, 'selector', () => maybe(random, 0.9, 'matchLabels', () => labels(random))),
    ...maybe(random, 0.06, 'targetRef', () => target(random)),
    ...maybe(random, 0.08, 'targetRefs', () => list(random, 2, () => target(random))),
  };
}

function labels(random: Random): Tree {
  const entries = list(random, 3, () => [labelKey(random), valueFor('matchLabels', random)] as const);
  const map: Tree = {};
  for (const [key, value] of entries) Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  return map;
}

function target(random: Random): Tree {
  return {
    ...maybe(random, 0.9, 'group', () => valueFor('group', random)),
    ...maybe(random, 0.95, 'kind', () => valueFor('kind', random)),
    ...maybe(random, 0.95, 'name', () => valueFor('targetRef.name', random)),
    ...maybe(random, 0.1, 'namespace', () => valueFor('targetRef.namespace', random)),
  };
}

function rule(random: Random): Tree {
  return {
    ...maybe(random, 0.6, 'from', () => list(random, 2, () => maybe(random, 0.95, 'source', () => members(random, SOURCE_FIELDS)))),
    ...maybe(random, 0.5, 'to', () => list(random, 2, () => maybe(random, 0.95, 'operation', () => members(random, OPERATION_FIELDS)))),
    ...maybe(random, 0.5, 'when', () => list(random, 2, () => condition(random))),
  };
}

function members(random: Random, fields: readonly string[]): Tree {
  const tree: Tree = {};
  for (let count = random.below(4); count > 0; count -= 1) {
    const field = random.pick(fields);
    const name = random.next() < 0.6 ? field : `not${field.slice(0, 1).toUpperCase()}${field.slice(1)}`;
    tree[name] = list(random, 3, () => valueFor(name, random));
  }
  return tree;
}

function condition(random: Random): Tree {
  const key = valueFor('key', random);
  const values = (): unknown => list(random, 3, () => conditionValue(key, random));
  return { ...maybe(random, 0.97, 'key', () => key), ...maybe(random, 0.8, 'values', values), ...maybe(random, 0.4, 'notValues', values) };
}

function jwtRule(random: Random): Tree {
  const texts = (field: string) => (): unknown => list(random, 2, () => valueFor(field, random));
  return {
    ...maybe(random, 0.8, 'issuer', () => valueFor('issuer', random)),
    ...maybe(random, 0.2, 'audiences', texts('')),
    ...maybe(random, 0.4, random.next() < 0.95 ? 'jwksUri' : 'jwks_uri', () => valueFor('jwksUri', random)),
    ...maybe(random, 0.4, 'jwks', () => valueFor('jwks', random)),
    ...maybe(random, 0.15, 'fromHeaders', () =>
      list(random, 2, () => ({
        ...maybe(random, 0.95, 'name', () => valueFor('header', random)),
        ...maybe(random, 0.5, 'prefix', () => valueFor('', random)),
      })),
    ),
    ...maybe(random, 0.1, 'fromParams', texts('')),
    ...maybe(random, 0.1, 'fromCookies', texts('')),
    ...maybe(random, 0.1, 'outputPayloadToHeader', () => valueFor('outputPayloadToHeader', random)),
    ...maybe(random, 0.1, 'forwardOriginalToken', () => valueFor('forwardOriginalToken', random)),
    ...maybe(random, 0.15, 'outputClaimToHeaders', () =>
      list(random, 2, () => ({
        ...maybe(random, 0.95, 'header', () => valueFor('header', random)),
        ...maybe(random, 0.95, 'claim', () => valueFor('claim', random)),
      })),
    ),
    ...maybe(random, 0.25, 'timeout', () => valueFor('timeout', random)),
    ...maybe(random, 0.1, 'spaceDelimitedClaims', texts('')),
  };
}

/** Changes, renames or removes one value below `spec`. */
function changeSomewhere(object: Tree, random: Random): void {
  const places: (readonly [Tree, string])[] = [];
  collect(object, 'spec', places, 0);
  if (places.length === 0) return;
  const [holder, name] = random.pick(places);
  const current = holder[name];
  switch (random.below(8)) {
    case 0:
      holder[name] = wrongType(random);
      break;
    case 1:
      if (!Array.isArray(holder)) delete holder[name];
      break;
    case 2:
      if (!Array.isArray(holder))
        rename(
          holder,
          name,
          random.pick([snakeCase(name), snakeCase(name), `${name}s`, 'x', '', '__proto__', `[${name}]`, '[istio.x]']),
          random,
        );
      break;
    case 3: {
      const [other, at] = random.pick(places);
      holder[name] = structuredClone(other[at]);
      break;
    }
    case 4:
      if (Array.isArray(current) && JSON.stringify(current).length < 400)
        holder[name] = Array.from({ length: random.pick(COUNTS) }, () => structuredClone(current[0] ?? 'x'));
      break;
    case 5:
      if (typeof current === 'object' && current !== null && !Array.isArray(current))
        (current as Tree)[random.pick(['x', 'source', 'operation', 'targetRef', 'selector', 'jwks_uri', 'match_labels', 'colour'])] =
          wrongType(random);
      break;
    case 6:
      holder[name] = null;
      break;
    default:
      holder[name] = Array.isArray(holder) ? valueFor('', random) : valueFor(name, random);
  }
}

function rename(holder: Tree, from: string, to: string, random: Random): void {
  const value = holder[from];
  if (random.next() < 0.7) delete holder[from];
  Object.defineProperty(holder, to, { value, enumerable: true, configurable: true, writable: true });
}

function collect(holder: Tree, name: string, places: (readonly [Tree, string])[], depth: number): void {
  if (!Object.hasOwn(holder, name) || places.length > 300) return;
  places.push([holder, name]);
  const value = holder[name];
  if (typeof value !== 'object' || value === null || depth > 12) return;
  for (const member of Object.keys(value)) collect(value as Tree, member, places, depth + 1);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function maybe(random: Random, chance: number, name: string, make: () => unknown): Tree {
  return random.next() < chance ? { [name]: make() } : {};
}

/** One to `most` items, rarely none, rarely as many as a limit allows. */
function list<T>(random: Random, most: number, make: () => T): T[] {
  const length = random.next() < 0.04 ? 0 : 1 + random.below(most);
  return Array.from({ length }, make);
}
