/*
 * Random programs and requests over a small vocabulary, so that rules match about as often as not. In: nothing. Out:
 * fast-check arbitraries. Texts are chosen to nest (prefixes of one another), to nearly match, and to be odd.
 */
import fc from 'fast-check';
import type {
  Clause,
  CustomStep,
  Engine,
  IdentityMatch,
  PathMatch,
  Program,
  RequestPrincipalMatch,
  Rule,
  Ruleset,
  StringMatch,
} from '../../src/policy/model/program.ts';
import type { ConnectionFacts, Json, RequestFacts } from '../../src/policy/request/facts.ts';

/** The half of a request that a connection and a token bring. */
export interface Caller {
  readonly connection: ConnectionFacts;
  readonly claims: { readonly [key: string]: Json } | undefined;
}

/** The half that a request head brings. */
export interface Head {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly remoteIp: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

const WORDS: readonly string[] = ['a', 'b', 'ab', 'aba', 'abab', 'b\u00e9', '', 'a\nb', 'x*'];
const PATHS: readonly string[] = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/a/b/c/d', '/b/a', '/b', '/a[b]/c', '/a//b', '*', '', '/a/*/c'];
const TEMPLATES: readonly string[] = [
  '/a/{*}',
  '/{*}/b',
  '/{*}/{*}/c',
  '/a/{**}',
  '/{**}/c',
  '/{**}',
  '/a/{*}/',
  '/{*}/b/{**}/d',
  'a/{*}',
  '/x{*}',
];
const HOSTS: readonly string[] = ['a', 'A.b', 'a.b', 'a.b:80', 'x.a.b', '', '\u00c9.b'];
const METHODS: readonly string[] = ['GET', 'POST', 'GETX', 'get', ''];
const ADDRESSES: readonly string[] = [
  '10.0.0.1',
  '10.0.1.1',
  '10.255.255.255',
  '192.168.0.1',
  '::1',
  '2001:db8::1',
  '2001:db8:0:1::1',
  '',
  '0.0.0.0',
  '255.255.255.255',
];
const BLOCKS: readonly string[] = [
  '10.0.0.0/8',
  '10.0.0.0/24',
  '10.0.0.1/32',
  '10.0.1.0/24',
  '0.0.0.0/0',
  '128.0.0.0/1',
  '255.255.255.255/32',
  '::/0',
  '2001:db8::/32',
  '2001:db8::/64',
  '2001:db8:0:1::/64',
  '::1/128',
  'ffff::/16',
  'bad',
];
const IDENTITIES: readonly string[] = [
  'spiffe://td/ns/a/sa/b',
  'spiffe://td/ns/ab/sa/b',
  'spiffe://td/ns/a/x/sa/ab/y',
  'spiffe://corp/ns/b/sa/a',
  'spiffe://td/ns/a/sa/',
  'spiffe:///ns/a/sa/b',
  'td/ns/a/sa/b',
  'spiffe://td/ns/a',
  'a\nb',
  `spiffe://td${'/ns/x'.repeat(60)}/ns/a/sa/b`,
  '',
];
const CLAIMS: readonly (readonly string[])[] = [['groups'], ['aud'], ['a', 'b'], ['__proto__'], ['none']];
const HEADERS: readonly string[] = ['x-a', 'x-b', ':path', 'x-none'];

function listOf<T>(element: fc.Arbitrary<T>): fc.Arbitrary<readonly T[] | undefined> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(element, { minLength: 1, maxLength: 3 }) },
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.array(element, { minLength: 9, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  );
}

/** Mostly positive lists: a rule of negatives alone nearly always matches. */
function listsOf<T>(element: fc.Arbitrary<T>): fc.Arbitrary<{ readonly anyOf?: readonly T[]; readonly noneOf?: readonly T[] }> {
  return fc.tuple(listOf(element), fc.option(listOf(element), { freq: 2, nil: undefined })).map(([anyOf, noneOf]) => ({
    ...(anyOf !== undefined && { anyOf }),
    ...(noneOf !== undefined && { noneOf }),
  }));
}

function stringMatch(words: readonly string[]): fc.Arbitrary<StringMatch> {
  const kind = fc.constantFrom<'exact' | 'prefix' | 'suffix'>('exact', 'exact', 'prefix', 'suffix');
  return fc.oneof(
    { weight: 9, arbitrary: fc.record({ kind, value: fc.constantFrom(...words) }) },
    { weight: 1, arbitrary: fc.constant<StringMatch>({ kind: 'present' }) },
  );
}

const pathMatch: fc.Arbitrary<PathMatch> = fc.oneof(
  { weight: 2, arbitrary: stringMatch(PATHS) },
  { weight: 1, arbitrary: fc.constantFrom(...TEMPLATES).map((value) => ({ kind: 'template' as const, value })) },
);

const identityMatch: fc.Arbitrary<IdentityMatch> = fc.oneof(
  stringMatch(IDENTITIES),
  fc.constantFrom('/b', 'a/sa/b', '').map((value) => ({ kind: 'spiffeSuffix' as const, value })),
  fc.constantFrom('a', 'a*', '*b', '*', 'a/x', 'x').map((pattern) => ({ kind: 'namespace' as const, pattern })),
  fc.record({
    kind: fc.constant('serviceAccount' as const),
    namespace: fc.constantFrom('a', 'ab', 'a/x', 'x'),
    name: fc.constantFrom('b', 'ab', 'ab/y', ''),
  }),
  fc.record({ kind: fc.constant('trustDomain' as const), prefix: fc.constantFrom('t', '', 'corp'), suffix: fc.constantFrom('d', '', 'p') }),
);

const principalMatch: fc.Arbitrary<RequestPrincipalMatch> = fc.record({ iss: stringMatch(WORDS), sub: stringMatch(WORDS) });

const clause: fc.Arbitrary<Clause> = fc.oneof(
  { weight: 3, arbitrary: listsOf(pathMatch).map((lists): Clause => ({ attribute: 'path', field: 'paths', ...lists })) },
  { weight: 2, arbitrary: listsOf(stringMatch(METHODS)).map((lists): Clause => ({ attribute: 'method', field: 'methods', ...lists })) },
  { weight: 2, arbitrary: listsOf(stringMatch(HOSTS)).map((lists): Clause => ({ attribute: 'host', field: 'hosts', ...lists })) },
  { weight: 1, arbitrary: listsOf(stringMatch(WORDS)).map((lists): Clause => ({ attribute: 'sni', field: 'connection.sni', ...lists })) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...HEADERS), listsOf(stringMatch(WORDS)))
      .map(([name, lists]): Clause => ({ attribute: 'header', field: `request.headers[${name}]`, name, ...lists })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('sourceIp', 'remoteIp', 'destinationIp'), listsOf(fc.constantFrom(...BLOCKS)))
      .map(([attribute, lists]): Clause => ({ attribute, field: attribute, ...lists })),
  },
  {
    weight: 1,
    arbitrary: listsOf(fc.constantFrom(80, 8080, 0)).map((lists): Clause => ({ attribute: 'destinationPort', field: 'ports', ...lists })),
  },
  { weight: 2, arbitrary: listsOf(identityMatch).map((lists): Clause => ({ attribute: 'peer', field: 'principals', ...lists })) },
  {
    weight: 3,
    arbitrary: listsOf(principalMatch).map((lists): Clause => ({ attribute: 'requestPrincipal', field: 'requestPrincipals', ...lists })),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...CLAIMS), listsOf(stringMatch(WORDS)))
      .map(([path, lists]): Clause => ({ attribute: 'claim', field: 'request.auth.claims', path, ...lists })),
  },
  {
    weight: 1,
    arbitrary: listsOf(stringMatch(WORDS)).map(
      (lists): Clause => ({ attribute: 'metadata', field: 'experimental', filter: 'f', path: ['k'], list: false, ...lists }),
    ),
  },
);

/** Entries of `from` or `to`: mostly one, sometimes so many that their combinations are not told apart, and none at all. */
const entries: fc.Arbitrary<readonly (readonly Clause[])[]> = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.array(clause, { maxLength: 3 }), { minLength: 1, maxLength: 2 }) },
  { weight: 1, arbitrary: fc.array(fc.array(clause, { minLength: 1, maxLength: 3 }), { minLength: 4, maxLength: 7 }) },
  { weight: 1, arbitrary: fc.constant([[]]) },
);

const body: fc.Arbitrary<Pick<Rule, 'from' | 'to' | 'when'>> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ from: entries, to: entries, when: fc.array(clause, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ from: fc.constant([]), to: entries, when: fc.constant([]) }) },
);

/** Rules with ids in order. */
function rules(maxLength: number): fc.Arbitrary<readonly Rule[]> {
  const bodies = fc.array(body, { maxLength, size: 'max' });
  // Copies make one request hit many rules, and rules fill more than one word of bits.
  return fc.tuple(bodies, fc.constantFrom(1, 1, 1, 9)).map(([written, copies]) =>
    Array.from({ length: copies }, () => written)
      .flat()
      .map((parts, index): Rule => {
        const name = `p${String(index).padStart(4, '0')}`;
        const source = { kind: 'AuthorizationPolicy', namespace: 'n', name, generation: 0, rule: 0 } as const;
        return { id: `ns[n]-policy[${name}]-rule[0]`, source, ...parts };
      }),
  );
}

function engine(maxLength: number): fc.Arbitrary<Engine> {
  return fc.tuple(rules(maxLength), fc.boolean()).map(([all, attached]) => ({ attached: attached || all.length > 0, rules: all }));
}

const customStep: fc.Arbitrary<CustomStep> = rules(8).map((all) => ({ name: 'p', refusal: 'unknown', rules: all }));

function ruleset(): fc.Arbitrary<Ruleset> {
  const rare = fc.oneof({ weight: 2, arbitrary: fc.constant<Engine>({ attached: false, rules: [] }) }, { weight: 1, arbitrary: engine(6) });
  return fc.record({
    custom: fc.array(customStep, { maxLength: 1 }),
    audit: rare,
    // A few rules deny, so that ALLOW is reached.
    deny: engine(3),
    allow: engine(24),
    dryRunDeny: rare,
    dryRunAllow: rare,
  });
}

/** Programs whose HTTP and TCP rules are alike: what is dropped on TCP is no concern of an evaluator. */
export const program: fc.Arbitrary<Program> = ruleset().map((http) => ({
  pathNormalization: 'NONE',
  trustedProxies: [],
  providers: [],
  http,
  tcp: http,
}));

const claimValue: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Json>(...WORDS) },
  { weight: 3, arbitrary: fc.array(fc.constantFrom<Json>(...WORDS, 1, null, ['a']), { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant<Json>(Array.from({ length: 40 }, (_, index) => (index === 39 ? 'ab' : 'abab'))) },
  { weight: 2, arbitrary: fc.record({ b: fc.constantFrom<Json>(...WORDS) }) },
  { weight: 1, arbitrary: fc.constantFrom<Json>(1, true, null) },
);

const claims: fc.Arbitrary<{ readonly [key: string]: Json }> = fc
  .record(
    {
      iss: fc.oneof({ weight: 4, arbitrary: fc.constantFrom<Json>(...WORDS) }, { weight: 1, arbitrary: claimValue }),
      sub: fc.constantFrom<Json>(...WORDS),
      groups: claimValue,
      aud: claimValue,
      a: claimValue,
    },
    { requiredKeys: ['iss', 'sub'] },
  )
  .map((found) => found as { readonly [key: string]: Json });

const peer = fc.record({
  uris: fc.array(fc.constantFrom(...IDENTITIES), { maxLength: 2 }),
  dnsNames: fc.array(fc.constantFrom(...IDENTITIES), { maxLength: 1 }),
  subject: fc.constantFrom('', 'CN=a', 'a'),
});

export const caller: fc.Arbitrary<Caller> = fc.record({
  connection: fc
    .tuple(
      fc.record({
        sourceIp: fc.constantFrom(...ADDRESSES),
        destinationIp: fc.constantFrom(...ADDRESSES),
        destinationPort: fc.constantFrom(80, 8080, 443),
        sni: fc.constantFrom(...WORDS),
        tls: fc.boolean(),
      }),
      fc.option(peer, { freq: 3, nil: undefined }),
    )
    .map(([connection, identity]): ConnectionFacts => (identity === undefined ? connection : { ...connection, peer: identity })),
  claims: fc.option(claims, { freq: 5, nil: undefined }),
});

export const head: fc.Arbitrary<Head> = fc.record({
  method: fc.constantFrom(...METHODS),
  host: fc.constantFrom(...HOSTS),
  path: fc.constantFrom(...PATHS, '/a/b/b', '/x/b/y/z/d', '/a/x/c'),
  remoteIp: fc.constantFrom(...ADDRESSES),
  headers: fc.record(
    {
      'x-a': fc.array(fc.constantFrom(...WORDS), { maxLength: 3 }),
      'x-b': fc.array(fc.constantFrom(...WORDS), { maxLength: 1 }),
      ':path': fc.constant(['/a']),
    },
    { requiredKeys: [] },
  ),
});

const NO_VALUES: readonly string[] = [];

/** The request of both halves. */
export function factsOf({ connection, claims: payload }: Caller, { headers, ...rest }: Head): RequestFacts {
  return {
    connection,
    ...rest,
    pathWithQuery: rest.path,
    headerValues: (name) => headers[name] ?? NO_VALUES,
    ...(payload !== undefined && { claims: payload }),
  };
}
