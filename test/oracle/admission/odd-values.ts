/*
 * Values at the boundary of what a field accepts, by field; mostly strings.
 */
import type { Random } from '../../fuzz/random.ts';
import { JWKS_TEXTS } from './odd-key-sets.ts';
import { ADDRESSES, PATHS, PORTS, TRUST_DOMAINS, URLS } from './odd-places.ts';

const repeat = (piece: string, ...counts: readonly number[]): readonly string[] => counts.map((count) => piece.repeat(count));

const WRONG_TYPES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  1,
  -1,
  2,
  3,
  4,
  1.5,
  1e21,
  2147483648,
  9007199254740992,
  '',
  'x',
  [],
  {},
  [null],
  [[]],
  [{}],
  [''],
  ['x', 1],
  [true],
  { x: 1 },
  { '': null },
];

const TEXTS: readonly string[] = [
  '',
  ' ',
  '*',
  '**',
  'a*',
  '*a',
  '*a*',
  'a*b',
  'a',
  'A',
  '/',
  '//',
  'é',
  '\u0000',
  '\u0007',
  '\n',
  '\t"\\',
  '<&>',
  '\u2028',
  '\u00a0',
  '\u200b',
  '\u00ad',
  '\ufffd',
  '\ud800',
  '💥',
  '\u{1f600}/x',
  '__proto__',
  'constructor',
  'a/b',
  '/a',
  'a/',
  'null',
  '1',
  'true',
  '\u007f',
  '\u0085',
  '\u0378',
];

const ACCOUNTS: readonly string[] = [
  'a',
  'ns/a',
  'a/b/c',
  '/a',
  'a/',
  '/',
  '//',
  '*',
  'ns/*',
  'a*',
  '',
  ...repeat('a', 320, 321),
  ...repeat('é', 160, 161),
  `${'a'.repeat(200)}/${'b'.repeat(119)}`,
  `${'a'.repeat(200)}/${'b'.repeat(120)}`,
  ...repeat('💥', 80, 81, 160),
  `/${'a'.repeat(330)}`,
  'a"b/c/d',
  'a\u0007/b/',
  '\u2028/a/b',
];

const KEYS: readonly string[] = [
  'source.ip',
  'remote.ip',
  'destination.ip',
  'destination.port',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'source.principal',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'connection.sni',
  'request.headers[x]',
  'request.headers',
  'request.headers[]',
  'request.headers[x',
  'request.headersx[x]',
  'request.headers[x]y',
  'request.headers[[x]]',
  'request.headers[x][y]',
  'request.headers[é]',
  'request.headers[',
  'request.headers]',
  'request.auth.claims[a]',
  'request.auth.claims[a][b]',
  'request.auth.claims[a][]',
  'request.auth.claims[]',
  'request.auth.claims',
  'request.auth.claims[]]',
  'request.auth.claims.a',
  'request.auth.claimsX[a]',
  'experimental.envoy.filters.a[b]',
  'experimental.envoy.filters.[b]',
  'experimental.envoy.filters',
  'experimental.envoy.filters.',
  'destination.labels[a]',
  'destination.labels',
  'destination.labelsx',
  'destination.namespace',
  'destination.name',
  'destination.user',
  'request.path',
  'Source.ip',
  'source.ip ',
  '',
  ' ',
  'x',
  'request.auth.',
  'request.auth.x',
  'request.auth',
  '__proto__',
  'constructor',
  'request.headers["x"]',
  'source.labels',
  '\u0007',
];

const DURATIONS: readonly string[] = [
  '5s',
  '1ms',
  '999us',
  '0s',
  '0',
  '-0',
  '+0',
  '+5s',
  '-5s',
  '-1ms',
  '1.5s',
  '1.5ms',
  '.5s',
  '5.s',
  '.s',
  's',
  '',
  '5',
  '5 s',
  ' 5s',
  '5S',
  '1h1m1s1ms',
  '1us',
  '1µs',
  '1μs',
  '1000us',
  '1001us',
  '1000000ns',
  '999999ns',
  '1d',
  'apple',
  '1m30s',
  '1e3s',
  '9223372036854775807ns',
  '9223372036854775808ns',
  '-9223372036854775808ns',
  '2562047h47m16.854775807s',
  '2562047h47m16.854775808s',
  '2562048h',
  '99999999999999999999s',
  '0.0000000000000000001s',
  '1.0000000001s',
  '0.001s',
  '0.0009s',
  '0.0015s',
  '--5s',
  '+-5s',
  '5s5',
  '5ss',
  '1\u00b5',
  '100000h',
  '87660h',
  '0.9999999999ms',
  '1.00000000000000000000000001ms',
  '3000000h',
  '5s\n',
  '1_0s',
  '-',
  '+',
  '.',
  '1..5s',
  '0.1.2s',
  '1ms1',
  '"5s"',
  '18446744073709551616ns',
  '315576000001s',
];

const LABEL_KEYS: readonly string[] = [
  'app',
  '',
  '*',
  'a*',
  'a.b/c',
  'é',
  'constructor',
  'a=b',
  '"',
  '\u0007',
  'a[b]',
  'a.b',
  'x/y/z',
  '💥',
  '\u00ad',
];
const LABEL_VALUES: readonly string[] = [
  'a',
  '',
  '*',
  '*a',
  ...repeat('a', 63, 64),
  ...repeat('é', 31, 32, 63, 64),
  ...repeat('💥', 32, 63, 64),
  '"',
  '\u0007',
  'a b',
];
const GROUPS: readonly string[] = [
  '',
  'core',
  'gateway.networking.k8s.io',
  'networking.istio.io',
  'apps',
  'A',
  'a..b',
  '-a',
  'a-',
  'a.b-',
  'a\n',
  ...repeat('a', 253, 254),
  'a.',
  '.',
  'é',
  'v1',
  'gateway.networking.x-k8s.io',
];
const KINDS: readonly string[] = [
  'Gateway',
  'GatewayClass',
  'Service',
  'ServiceEntry',
  'gateway',
  '',
  '1',
  'A-',
  '-A',
  'A-b',
  ...repeat('A', 63, 64),
  'é',
  'A\n',
  'Pod',
  'A.b',
];
const NAMES: readonly string[] = ['gw', '', ...repeat('a', 253, 254), ...repeat('é', 253, 254), ...repeat('💥', 127, 253, 254), 'A B', '*'];
const HEADER_NAMES: readonly string[] = ['x-a', 'X_A', '', 'a b', 'a:', 'é', 'authorization', ':path', 'a\n', '-', '_', 'a.b', '"', '1'];

const BY_FIELD: Readonly<Record<string, readonly unknown[]>> = {
  action: ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM', 'CUSTOM', 'allow', '', 0, 1, 2, 3, 1.5, '1', 'ALLOW\n', '"', 'é', 'a\\b', '\u0007', 'x"y'],
  ipBlocks: ADDRESSES,
  notIpBlocks: ADDRESSES,
  remoteIpBlocks: ADDRESSES,
  notRemoteIpBlocks: ADDRESSES,
  ports: PORTS,
  notPorts: PORTS,
  paths: PATHS,
  notPaths: PATHS,
  serviceAccounts: ACCOUNTS,
  notServiceAccounts: ACCOUNTS,
  trustDomains: TRUST_DOMAINS,
  notTrustDomains: TRUST_DOMAINS,
  key: KEYS,
  timeout: DURATIONS,
  jwksUri: URLS,
  jwks_uri: URLS,
  jwks: JWKS_TEXTS,
  group: GROUPS,
  kind: KINDS,
  header: HEADER_NAMES,
  claim: ['a', '', 'a.b', 'é'],
  matchLabels: LABEL_VALUES,
  forwardOriginalToken: [true, false, 'true', 0],
  outputPayloadToHeader: HEADER_NAMES,
  issuer: ['https://a', 'https://a', 'a', '', '💥'],
  'targetRef.name': NAMES,
  'targetRef.namespace': ['', 'foo', '*'],
};

/** A value of a type that few fields have. */
export function wrongType(random: Random): unknown {
  return structuredClone(random.pick(WRONG_TYPES));
}

/** A key for a label map. */
export function labelKey(random: Random): string {
  return random.pick(LABEL_KEYS);
}

/** One value for `field`, sometimes with one change. */
export function valueFor(field: string, random: Random): unknown {
  const value = random.next() < 0.9 ? random.pick(BY_FIELD[field] ?? TEXTS) : random.pick(TEXTS);
  return typeof value === 'string' && random.next() < 0.12 ? changed(value, random) : value;
}

/** A value for `when`, valid for its key half of the time. */
export function conditionValue(key: unknown, random: Random): unknown {
  if (random.next() < 0.4) return valueFor('', random);
  switch (key) {
    case 'source.ip':
    case 'remote.ip':
    case 'destination.ip':
      return valueFor('ipBlocks', random);
    case 'destination.port':
      return valueFor('ports', random);
    case 'source.serviceAccount':
      return valueFor('serviceAccounts', random);
    case 'source.trustDomain':
      return valueFor('trustDomains', random);
    default:
      return valueFor('', random);
  }
}

function changed(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const piece = random.pick([
    '*',
    '/',
    '',
    '0',
    '9',
    '.',
    ':',
    '%',
    ' ',
    '{',
    '}',
    'a',
    '"',
    '\u0001',
    'é',
    '💥',
    '-',
    '+',
    ']',
    '[',
    '\\',
    "'",
  ]);
  return text.slice(0, at) + piece + text.slice(at + random.below(3));
}
