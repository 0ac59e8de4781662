/*
 * fast-check arbitraries for programs and requests over a small vocabulary, so that rules match about as often as not. Strings are chosen
 * to nest (prefixes of one another), to nearly match, and to be unusual.
 */
import fc from 'fast-check';
import type { ConnectionFacts, Json, RequestFacts } from '../../src/policy/facts.ts';
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
import { createTokenNotes, type TokenNotes } from '../../src/policy/token-notes.ts';

/** The part of a request that comes from the connection and the token. */
export interface Caller {
  readonly connection: ConnectionFacts;
  readonly claims: { readonly [key: string]: Json } | undefined;
  /** Absent: nothing is cached for the token. */
  readonly notes: TokenNotes | undefined;
}

/** The part of a request that comes from its head. */
export interface Head {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly remoteIp: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

const WORDS: readonly string[] = [
  'a',
  'b',
  'ab',
  'aba',
  'abab',
  'ababa',
  'b\u00e9',
  '\u65e5\u672c',
  '\u{1d54f}',
  '\ud835',
  '',
  ' ',
  'a\nb',
  'x*',
  'a\0b',
];
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
/** More names than there are axes in the bitmap index that are not shared. */
const MANY = 18;
const numbered = (prefix: string): readonly string[] => Array.from({ length: MANY }, (_, index) => `${prefix}${index}`);
const CLAIMS: readonly (readonly string[])[] = [
  ['groups'],
  ['groups'],
  ['aud'],
  ['a'],
  ['a', 'b'],
  ['a', 'b', 'c'],
  ['__proto__'],
  ['constructor'],
  ['none'],
  ...numbered('c').map((name) => [name]),
];
const HEADERS: readonly string[] = ['x-a', 'x-a', 'x-b', ':path', ':authority', 'host', 'x-none', ...numbered('x-')];

function listOf<T>(element: fc.Arbitrary<T>): fc.Arbitrary<readonly T[] | undefined> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.array(element, { minLength: 1, maxLength: 3 }) },
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.array(element, { minLength: 9, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  );
}

/** Mostly positive lists: a rule with negative lists only matches nearly always. */
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

/** Templates that nearly all match the same paths. */
const forkedTemplate: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.constantFrom('a', '{*}', '{*}', 'b'), { minLength: 1, maxLength: 9 }),
    fc.constantFrom('', '', '/{**}', '/{**}/b', '/'),
  )
  .map(([segments, end]) => `/${segments.join('/')}${end}`)
  .filter((text) => text.includes('{'));

const pathMatch: fc.Arbitrary<PathMatch> = fc.oneof(
  { weight: 2, arbitrary: stringMatch(PATHS) },
  { weight: 1, arbitrary: forkedTemplate.map((value) => ({ kind: 'template' as const, value })) },
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

/** A clause: one field or one condition. */
export const clause: fc.Arbitrary<Clause> = fc.oneof(
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

/** Entries of `from` or `to`: mostly one, sometimes too many for a row per combination, sometimes none. */
const entries: fc.Arbitrary<readonly (readonly Clause[])[]> = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.array(clause, { maxLength: 3 }), { minLength: 1, maxLength: 2 }) },
  { weight: 1, arbitrary: fc.array(fc.array(clause, { minLength: 1, maxLength: 3 }), { minLength: 4, maxLength: 7 }) },
  { weight: 1, arbitrary: fc.constant([[]]) },
);

const body: fc.Arbitrary<Pick<Rule, 'from' | 'to' | 'when'>> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ from: entries, to: entries, when: fc.array(clause, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ from: fc.constant([]), to: entries, when: fc.constant([]) }) },
);

/** Rules with ascending ids. */
function rules(maxLength: number): fc.Arbitrary<readonly Rule[]> {
  const bodies = fc.array(body, { maxLength, size: 'max' });
  // With copies, one request hits many rules, and the rules fill more than one word of a bitmap.
  return fc
    .tuple(bodies, fc.constantFrom(1, 1, 1, 9))
    .map(([written, copies]) => named(Array.from({ length: copies }, () => written).flat()));
}

function named(bodies: readonly Pick<Rule, 'from' | 'to' | 'when'>[]): readonly Rule[] {
  return bodies.map((parts, index): Rule => {
    const name = `p${String(index).padStart(4, '0')}`;
    const source = { kind: 'AuthorizationPolicy', namespace: 'n', name, generation: 0, rule: 0 } as const;
    return { id: `ns[n]-policy[${name}]-rule[0]`, source, ...parts };
  });
}

function engine(maxLength: number): fc.Arbitrary<Engine> {
  return fc.tuple(rules(maxLength), fc.boolean()).map(([all, attached]) => ({ attached: attached || all.length > 0, rules: all }));
}

const customStep: fc.Arbitrary<CustomStep> = fc
  .tuple(rules(8), fc.constantFrom('p', 'q'))
  .map(([all, name]) => ({ name, refusal: 'unknown', rules: all }));

function ruleset(): fc.Arbitrary<Ruleset> {
  const rare = fc.oneof({ weight: 2, arbitrary: fc.constant<Engine>({ attached: false, rules: [] }) }, { weight: 1, arbitrary: engine(6) });
  return fc.record({
    custom: fc.array(customStep, { maxLength: 2 }),
    audit: rare,
    // Few rules deny, so that requests reach ALLOW.
    deny: engine(3),
    allow: engine(24),
    dryRunDeny: rare,
    dryRunAllow: rare,
  });
}

/** Programs whose HTTP and TCP rules differ or are equal: what lowering drops on TCP does not matter to an evaluator. */
export const program: fc.Arbitrary<Program> = fc
  .tuple(ruleset(), fc.option(ruleset(), { freq: 1, nil: undefined }))
  .map(([http, tcp]) => ({ pathNormalization: 'NONE', trustedProxies: [], providers: [], http, tcp: tcp ?? http }));

/** Programs of a few hundred rules that constrain the same attributes with different values, so that indexes fill up and collide. */
export const crowd: fc.Arbitrary<Program> = fc
  .tuple(
    fc.array(body, { minLength: 2, maxLength: 5 }),
    fc.array(clause, { minLength: 40, maxLength: 160, size: 'max' }),
    fc.constantFrom('allow' as const, 'deny' as const),
  )
  .map(([bodies, clauses, action]): Program => {
    const none: Engine = { attached: false, rules: [] };
    const crowded = clauses.map((own, index): Pick<Rule, 'from' | 'to' | 'when'> => {
      const { from, to, when } = bodies[index % bodies.length] as (typeof bodies)[number];
      return index % 3 === 0 ? { from: [[]], to: [[own]], when: [] } : { from, to, when: [...when, own] };
    });
    const http: Ruleset = {
      custom: [],
      audit: { attached: true, rules: named(crowded.slice(0, 20)) },
      deny: none,
      allow: none,
      dryRunDeny: none,
      dryRunAllow: { attached: true, rules: named(crowded.toReversed()) },
      [action]: { attached: true, rules: named(crowded) },
    };
    return { pathNormalization: 'NONE', trustedProxies: [], providers: [], http, tcp: http };
  });

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
      a: fc.oneof(claimValue, fc.record({ b: fc.record({ c: fc.constantFrom<Json>(...WORDS) }) })),
      more: fc.array(fc.tuple(fc.constantFrom(...numbered('c')), claimValue), { maxLength: 6 }),
    },
    { requiredKeys: ['iss', 'sub', 'more'] },
  )
  .map(({ more, ...found }) => ({ ...(found as { readonly [key: string]: Json }), ...Object.fromEntries(more) }));

const peer = fc.record({
  uris: fc.array(fc.constantFrom(...IDENTITIES), { maxLength: 2 }),
  dnsNames: fc.array(fc.constantFrom(...IDENTITIES), { maxLength: 1 }),
  subject: fc.constantFrom('', 'CN=a', 'a'),
});

const connection: fc.Arbitrary<ConnectionFacts> = fc
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
  .map(([plain, identity]): ConnectionFacts => (identity === undefined ? plain : { ...plain, peer: identity }));

export const caller: fc.Arbitrary<Caller> = fc
  .tuple(connection, fc.option(claims, { freq: 5, nil: undefined }), fc.boolean())
  .map(([from, payload, isRemembered]) => {
    const notes = payload !== undefined && isRemembered ? createTokenNotes(payload) : undefined;
    return { connection: from, claims: payload, notes };
  });

export const head: fc.Arbitrary<Head> = fc.record({
  method: fc.constantFrom(...METHODS),
  host: fc.constantFrom(...HOSTS),
  path: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...PATHS, '/a/b/b', '/x/b/y/z/d', '/a/x/c') },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom('a', 'a', 'b', 'x', ''), { minLength: 1, maxLength: 9 }).map((all) => `/${all.join('/')}`),
    },
  ),
  remoteIp: fc.constantFrom(...ADDRESSES),
  headers: fc
    .array(fc.tuple(fc.constantFrom(...HEADERS), fc.array(fc.constantFrom(...WORDS), { maxLength: 3 })), { maxLength: 8 })
    .map((all) => Object.fromEntries(all)),
});

const NO_VALUES: readonly string[] = [];
const PSEUDO_HEADERS: readonly string[] = [':path', ':authority', 'host'];

/** The request with both parts. */
export function factsOf({ connection: from, claims: payload, notes }: Caller, { headers, ...rest }: Head): RequestFacts {
  return {
    connection: from,
    ...rest,
    pathWithQuery: rest.path,
    headerValues: (name) => headers[name] ?? NO_VALUES,
    headerList: Object.entries(headers).flatMap(([name, values]) =>
      PSEUDO_HEADERS.includes(name) ? [] : values.flatMap((value) => [name, value]),
    ),
    ...(payload !== undefined && { claims: payload }),
    ...(notes !== undefined && { notes }),
  };
}
