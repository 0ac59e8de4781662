/*
 * Pairs of programs whose JWT rules change requests, and random requests with tokens, for contradicting proofs with the agent's filter
 * chain.
 */
import fc from 'fast-check';
import { type Comparison, comparePrograms } from '../../src/analysis/compare-programs.ts';
import { createWitnessCheck } from '../../src/cli/commands/confirm-witness.ts';
import { createExplainedChain, evaluateToEnd } from '../../src/explain/evaluate-to-end.ts';
import { createTestKey } from '../../src/explain/test-key.ts';
import type { FilterChain } from '../../src/filters/filter-chain.ts';
import type { RawRequest } from '../../src/http/heads.ts';
import type { Clause, JwtProvider, Program, Rule, Ruleset, StringMatch } from '../../src/policy/model/program.ts';

const NOW_SECONDS = 1_769_860_800;
const NO_ENGINE = { attached: false, rules: [] } as const;

/** Two programs whose JWT rules change requests, and requests to try. */
export interface TokenPair {
  readonly programs: readonly [Program, Program];
  readonly requests: readonly TokenRequestSpec[];
}

/** A request of the model. Texts between braces are tokens: the index of their claims, or `{x}` for an invalid one. */
export interface TokenRequestSpec {
  readonly version: '1.1' | '2';
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: readonly (readonly [string, string])[];
}

const CLAIMS = [
  { iss: 'a', sub: 'v' },
  { iss: 'a', sub: 'w', g: 'w v' },
  { iss: 'b', sub: 'v', g: 'v w', aud: 'x' },
  { iss: 'a', g: ['v', 'w'], aud: 'x' },
  { iss: 'b', sub: '\u0001', g: 'w' },
  { iss: 'c', sub: 'v', g: 'v' },
] as const;

const HEADERS: readonly (readonly { readonly name: string; readonly prefix: string }[])[] = [
  [],
  [{ name: 'authorization', prefix: 'Bearer ' }],
  [{ name: 'authorization', prefix: 'Bearer ' }],
  [{ name: 'x-jwt', prefix: '' }],
  [
    { name: 'authorization', prefix: 'Bearer ' },
    { name: 'x-jwt', prefix: '' },
  ],
  [{ name: ':path', prefix: '/tok/' }],
  [{ name: 'host', prefix: '' }],
  [{ name: ':scheme', prefix: 'h' }],
];

const provider: fc.Arbitrary<JwtProvider> = fc
  .record({
    issuer: fc.constantFrom('a', 'a', 'b', ''),
    audiences: fc.constantFrom<readonly string[]>([], [], [], ['x']),
    headers: fc.constantFrom(...HEADERS),
    params: fc.constantFrom<readonly string[]>([], ['t']),
    cookies: fc.constantFrom<readonly string[]>([], [], ['c']),
    forward: fc.boolean(),
    payloadHeader: fc.constantFrom('', '', '', '', 'x-pay', 'x-jwt', ':method'),
    claimHeaders: fc.constantFrom<JwtProvider['claimHeaders']>(
      [],
      [],
      [{ header: 'x-sub', claim: 'sub' }],
      [{ header: 'x-sub', claim: 'g' }],
      [{ header: 'x_sub', claim: 'g' }],
      [{ header: 'host', claim: 'h' }],
    ),
    spaceDelimitedClaims: fc.constantFrom<readonly string[]>(['scope'], ['g', 'scope']),
    keySet: fc.constantFrom('k', 'k', 'k', 'l'),
    required: fc.constantFrom(false, false, false, false, false, true),
  })
  .map((own) => ({
    name: 'origins-0',
    source: { kind: 'RequestAuthentication', namespace: 'n', name: 'jwt', generation: 0, rule: 0 },
    ...own,
    headers: own.headers.length + own.params.length + own.cookies.length === 0 ? (HEADERS[1] ?? []) : own.headers,
  }));

const VALUES = ['v', 'w', 'Bearer ', '', '/a', 'Basic v', ' v'] as const;

const match: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.constant<StringMatch>({ kind: 'present' }),
  fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: fc.constantFrom(...VALUES) }),
);

function lists<M>(one: fc.Arbitrary<M>): fc.Arbitrary<{ readonly anyOf?: readonly M[]; readonly noneOf?: readonly M[] }> {
  const some = fc.array(one, { minLength: 1, maxLength: 2 });
  return fc.oneof(
    some.map((anyOf) => ({ anyOf })),
    some.map((noneOf) => ({ noneOf })),
  );
}

const clause: fc.Arbitrary<Clause> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom('authorization', 'x-jwt', 'x-sub', 'x_sub', 'x-pay', 'host'), lists(match)).map(headerClause),
  },
  {
    weight: 2,
    arbitrary: lists(pathMatch(['/a', '/a?', '/a?q=', '/a?q=v w', 'v w', '=', '/tok/'])).map((own) => headerClause([':path', own])),
  },
  { weight: 1, arbitrary: lists(pathMatch(['/a', '/', '/tok/'])).map((own): Clause => ({ attribute: 'path', field: 'paths', ...own })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('g', 'sub'),
        lists(fc.constantFrom<StringMatch>({ kind: 'exact', value: 'v' }, { kind: 'suffix', value: 'w' }, { kind: 'present' })),
      )
      .map(([name, own]): Clause => ({ attribute: 'claim', field: 'claims', path: [name], ...own })),
  },
  {
    weight: 1,
    arbitrary: lists(fc.constant({ iss: { kind: 'present' }, sub: { kind: 'present' } } as const)).map(
      (own): Clause => ({ attribute: 'requestPrincipal', field: 'requestPrincipals', ...own }),
    ),
  },
);

function headerClause([name, own]: readonly [
  string,
  { readonly anyOf?: readonly StringMatch[]; readonly noneOf?: readonly StringMatch[] },
]): Clause {
  return { attribute: 'header', field: name, name, ...own };
}

function pathMatch(values: readonly string[]): fc.Arbitrary<StringMatch> {
  return fc.record({ kind: fc.constantFrom('exact' as const, 'prefix' as const, 'suffix' as const), value: fc.constantFrom(...values) });
}

function rules(action: string, maxLength: number): fc.Arbitrary<readonly Rule[]> {
  return fc.array(fc.array(clause, { minLength: 1, maxLength: 2 }), { maxLength }).map((all) =>
    all.map((when, at): Rule => {
      const source = { kind: 'AuthorizationPolicy', namespace: 'n', name: `${action}${at}`, generation: 0, rule: 0 } as const;
      return { id: `${action}${at}`, source, from: [[]], to: [[]], when };
    }),
  );
}

const ruleset: fc.Arbitrary<Ruleset> = fc
  .record({
    allow: fc.option(rules('allow', 3), { nil: undefined }),
    deny: rules('deny', 2),
    refusal: fc.oneof(fc.constant([]), fc.constant([]), rules('refusal', 1)),
  })
  .map(({ allow, deny, refusal }) => ({
    custom: refusal.length === 0 ? [] : [{ name: 'q', refusal: 'unknown', rules: refusal }],
    audit: NO_ENGINE,
    deny: { attached: deny.length > 0, rules: deny },
    allow: allow === undefined ? NO_ENGINE : { attached: true, rules: allow },
    dryRunDeny: NO_ENGINE,
    dryRunAllow: NO_ENGINE,
  }));

const token = fc.constantFrom('{0}', '{1}', '{2}', '{3}', '{4}', '{5}', '{x}');

const request: fc.Arbitrary<TokenRequestSpec> = fc.record({
  version: fc.constantFrom('1.1', '2'),
  method: fc.constantFrom('GET', 'GET', 'GET', 'OPTIONS'),
  path: fc.oneof(
    fc.constantFrom('/', '/a', '/a?q=v', '/a?q=v%20w', '/a?', '/b?w', '/a?%71=v'),
    token.map((one) => `/a?t=${one}`),
    token.map((one) => `/a?t=${one}&q=v%20w`),
    token.map((one) => `/a?q=v%20w&t=${one}`),
    token.map((one) => `/tok/${one}`),
    token.map((one) => `/a/tok/${one}`),
  ),
  host: fc.oneof({ weight: 4, arbitrary: fc.constantFrom('v', 'w') }, { weight: 1, arbitrary: token }),
  headers: fc
    .tuple(
      fc.option(
        fc.oneof(
          token.map((one) => `Bearer ${one}`),
          token.map((one) => `Bearer ${one}`),
          fc.constantFrom('Basic v', 'v', 'Bearer v'),
        ),
        { nil: undefined },
      ),
      fc.option(fc.oneof(token, fc.constantFrom('v', '')), { nil: undefined, freq: 2 }),
      fc.option(token, { nil: undefined, freq: 1 }),
      fc.option(fc.constantFrom('v', 'w', '', ' v'), { nil: undefined }),
      fc.option(fc.constantFrom('v', ''), { nil: undefined, freq: 2 }),
    )
    .map(([authorization, jwt, cookie, sub, under]) =>
      Object.entries({
        authorization,
        'x-jwt': jwt,
        cookie: cookie === undefined ? undefined : `c=${cookie}`,
        'x-sub': sub,
        x_sub: under,
      }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
    ),
});

/** Mostly one change: of the rules, of a JWT rule, or of the order. */
export const tokenPair: fc.Arbitrary<TokenPair> = fc
  .record({
    providers: fc.array(provider, { minLength: 1, maxLength: 2 }),
    others: fc.array(provider, { minLength: 1, maxLength: 2 }),
    before: ruleset,
    after: ruleset,
    change: fc.nat(6),
    requests: fc.array(request, { minLength: 150, maxLength: 150 }),
  })
  .map(({ providers, others, before, after, change, requests }) => {
    const [first, ...rest] = providers as [JwtProvider, ...JwtProvider[]];
    const changed: readonly (readonly JwtProvider[])[] = [
      providers,
      rest,
      [...providers, ...others.slice(0, 1)],
      [{ ...first, forward: !first.forward }, ...rest],
      [{ ...first, claimHeaders: others[0]?.claimHeaders ?? [], spaceDelimitedClaims: others[0]?.spaceDelimitedClaims ?? [] }, ...rest],
      providers.toReversed(),
      others,
    ];
    const programs = [programOf(providers, before), programOf(changed[change] ?? [], change === 0 ? after : before)] as const;
    return { programs, requests };
  });

function programOf(providers: readonly JwtProvider[], http: Ruleset): Program {
  return { pathNormalization: 'BASE', trustedProxies: [], providers, http, tcp: http };
}

const key = createTestKey();
const signed = new Map<string, string>();

function withTokens(text: string): string {
  return text.replace(/\{(\w)\}/, (_all, index: string) => {
    const claims = CLAIMS[Number(index)];
    if (claims === undefined) return 'invalid';
    const known = signed.get(index) ?? key.sign(claims);
    signed.set(index, known);
    return known;
  });
}

function rawOf({ version, method, path, host, headers }: TokenRequestSpec): RawRequest {
  const connection = { sourceIp: '192.0.2.1', destinationIp: '192.0.2.77', destinationPort: 80, sni: '', tls: false };
  const fields = headers.map(([name, value]) => [name, withTokens(value)] as const);
  const common = { method, target: withTokens(path), hasBody: false, connection };
  if (version === '2') return { version, ...common, authority: withTokens(host), scheme: 'http', headers: fields.flat() };
  // The codec of HTTP/1.1 removes whitespace around values.
  return { version, ...common, headers: ['Host', withTokens(host), ...fields.flatMap(([name, value]) => [name, value.trim()])] };
}

/** The answer of the prover, with every witness confirmed by the filter chain. */
export function proveTokens([before, after]: readonly [Program, Program]): Comparison {
  const check = createWitnessCheck({ before, after, workload: 'n/deployment/x' }, NOW_SECONDS);
  return comparePrograms(before, after, {
    protocol: 'http',
    isOver: () => false,
    confirm: (witness, direction) => check.confirm(witness, direction) !== undefined,
  });
}

/** What the prover claims and a request refutes; undefined: none does. */
export function tokenContradictionOf({ programs, requests }: TokenPair, proof: Comparison = proveTokens(programs)): string | undefined {
  if (proof.widened.kind !== 'none' && proof.narrowed.kind !== 'none') return undefined;
  const [before, after] = programs.map((program): FilterChain => createExplainedChain({ program, keySets: key.keySetsFor(program) }));
  for (const spec of requests) {
    const raw = rawOf(spec);
    const [one, other] = [before, after].map(
      (chain) => chain !== undefined && evaluateToEnd(chain, raw, NOW_SECONDS, 'allow').final.kind === 'forward',
    );
    if (one === other) continue;
    const direction = one === true ? 'narrowed' : 'widened';
    if (proof[direction].kind === 'none') return `${direction} is disproved by ${JSON.stringify(spec)}`;
  }
  return undefined;
}
