/*
 * Hostile objects for admission: huge, deep, or with names that are special in JavaScript.
 */

const object = (kind: string, spec: unknown): Readonly<Record<string, unknown>> => ({
  apiVersion: 'security.istio.io/v1',
  kind,
  metadata: { name: 'p', namespace: 'foo' },
  spec,
});
const ap = (spec: unknown): unknown => object('AuthorizationPolicy', spec);
const ra = (rule: unknown): unknown => object('RequestAuthentication', { jwtRules: [rule] });
const path = (text: string): unknown => ap({ rules: [{ to: [{ operation: { paths: [text] } }] }] });
const source = (field: string, text: string): unknown => ap({ rules: [{ from: [{ source: { [field]: [text] } }] }] });
const list = (count: number, item: (at: number) => unknown): readonly unknown[] => Array.from({ length: count }, (_, at) => item(at));
const entries = (count: number, value: unknown): unknown =>
  Object.fromEntries(list(count, (at) => [`k${at}`, value]) as [string, unknown][]);
const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);

/** Objects of growing size, with a size at which four times as much is still fast if the work is linear. */
export const GROWING_POLICIES: Readonly<Record<string, readonly [size: number, make: (size: number) => unknown]>> = {
  'slashes before a path': [100_000, (n) => path(`${'/'.repeat(n)}x`)],
  'slashes after a path': [100_000, (n) => path(`x${'/'.repeat(n)}`)],
  'templates in a path': [30_000, (n) => path('/{*}'.repeat(n))],
  'an address of digits': [100_000, (n) => source('ipBlocks', `${'1'.repeat(n)}.1.1.1`)],
  'an address of colons': [100_000, (n) => source('ipBlocks', `1${':'.repeat(n)}`)],
  'a block of slashes': [100_000, (n) => source('remoteIpBlocks', '1.1.1.1/'.repeat(n))],
  'an account of slashes': [100_000, (n) => source('serviceAccounts', '/'.repeat(n))],
  'a trust domain of stars': [100_000, (n) => source('trustDomains', '*'.repeat(n))],
  'a port of digits': [100_000, (n) => ap({ rules: [{ to: [{ operation: { ports: ['1'.repeat(n)] } }] }] })],
  'a duration of parts': [30_000, (n) => ra({ issuer: 'i', timeout: '1ns'.repeat(n) })],
  'a duration of digits': [100_000, (n) => ra({ issuer: 'i', timeout: `0.${'1'.repeat(n)}s` })],
  'a URL of escapes': [30_000, (n) => ra({ jwksUri: `https://a/${'%41'.repeat(n)}` })],
  'a URL of ports': [30_000, (n) => ra({ jwksUri: `https://${'a:'.repeat(n)}` })],
  'a URL of fragments': [100_000, (n) => ra({ jwksUri: `https://a${'#'.repeat(n)}` })],
  'keys with an open string of quotes': [100_000, (n) => ra({ issuer: 'i', jwks: `{"k${'\\"'.repeat(n)}` })],
  'keys in a list': [5_000, (n) => ra({ issuer: 'i', jwks: JSON.stringify({ keys: list(n, () => ({ kty: 'oct', k: 'eA' })) }) })],
  'a modulus that is long': [100_000, (n) => ra({ issuer: 'i', jwks: `{"kty":"RSA","e":"AQAB","n":"${'A'.repeat(n)}"}` })],
  'a header name of brackets': [100_000, (n) => ap({ rules: [{ when: [{ key: `request.headers[${'['.repeat(n)}]`, values: ['x'] }] }] })],
  'faults in a list': [2_000, (n) => ap({ rules: [{ to: list(n, () => ({ operation: { ports: ['x'] } })) }] })],
  'nulls in a list': [5_000, (n) => ap({ rules: list(n, () => null) })],
  'labels that are wrong': [5_000, (n) => ap({ selector: { matchLabels: entries(n, 1) } })],
  'targets in a list': [5_000, (n) => ap({ targetRefs: list(n, () => ({})) })],
  'fields next to spec': [5_000, (n) => ({ ...object('AuthorizationPolicy', {}), ...(entries(n, 1) as object) })],
};

/** Objects that broke, or could break, a recursion or a conversion. */
export const ODD_POLICIES: Readonly<Record<string, unknown>> = {
  'a spec nested without end': ap(nested(100_000)),
  'an unknown field nested without end': ap({ colour: nested(100_000) }),
  'sources nested without end': ap({ rules: [{ from: nested(100_000) }] }),
  'annotations nested without end': { ...(ap({}) as object), metadata: { name: 'p', namespace: 'foo', annotations: nested(100_000) } },
  'keys nested without end': ra({ issuer: 'i', jwks: '[{"a":'.repeat(100_000) }),
  'a kind without text': { ...(ap({}) as object), kind: { toString: 1 } },
  'a version without text': { ...(ap({}) as object), apiVersion: { toString: 1, valueOf: 1 } },
  'a name without text': { ...(ap({ action: 'DENY' }) as object), metadata: { name: { toString: 1 }, namespace: { toString: 1 } } },
  'metadata that is text': { ...(ap({}) as object), metadata: 'x' },
  'keys without text': ra({ issuer: 'i', jwks: '{"keys":[{"kty":{"toString":1}},{"kty":"RSA","n":{"toString":1}}]}' }),
  'members called __proto__': JSON.parse(
    '{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","__proto__":{"spec":{"rules":[{}]}},"metadata":{"name":"p","namespace":"foo","__proto__":{"annotations":{"istio.io/dry-run":"true"}}},"spec":{"__proto__":{"action":"ALLOW"},"action":"DENY","selector":{"matchLabels":{"__proto__":"a"}},"rules":[{"__proto__":{"to":[]}}]}}',
  ),
  'members called constructor': ap({ constructor: { prototype: { polluted: 1 } }, rules: [{ toString: 1, hasOwnProperty: null }] }),
  'halves of characters': ap({ action: '\ud800', rules: [{ when: [{ key: 'request.headers[\udfff]', values: ['\ud800\ud800'] }] }] }),
};
