/*
 * Pairs of small programs, and every request over their vocabulary, for comparing proofs with brute force. All values are ones that a
 * request can really have.
 */
import fc from 'fast-check';
import { type Comparison, comparePrograms } from '../../src/analysis/compare-programs.ts';
import type { Witness } from '../../src/analysis/witness.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import type { Claims, RequestFacts } from '../../src/policy/facts.ts';
import type {
  Clause,
  CustomStep,
  Engine,
  IdentityMatch,
  JwtProvider,
  PathMatch,
  Program,
  Rule,
  Ruleset,
  StringMatch,
} from '../../src/policy/model/program.ts';

/** One request of the vocabulary. */
export interface ModelRequest {
  readonly method: string;
  readonly host: string;
  /** With query. */
  readonly path: string;
  readonly headers: readonly string[];
  readonly sourceIp: string;
  readonly port: number;
  readonly peers: readonly string[];
  /** Absent: no token. */
  readonly claims?: Claims;
}

const WORDS = ['a', 'b', 'ab', 'aba', 'ba', 'a b'] as const;
const PATHS = ['/', '/a', '/a/', '/a/b', '/b/a', '/a/b/c', '/ab', '/a/x/b', '/b.a'] as const;
const QUERIES = ['', '?', '?b', '?/a/', '?a=?b'] as const;
const TEMPLATES = ['/a/{*}', '/{*}/b', '/a/{**}', '/{**}/b', '/{*}/{*}', '/{**}'] as const;
const HOSTS = ['a', 'A.b', 'a.b:80', 'x.a.b'] as const;
const BLOCKS = ['10.0.0.0/8', '10.0.0.0/9', '10.128.0.0/9', '10.0.0.1/32', '0.0.0.0/0', '::/0', '2001:db8::/32'] as const;
const ADDRESSES = ['10.0.0.1', '10.200.0.1', '192.0.2.9', '2001:db8::1'] as const;
const PEERS = ['spiffe://td/ns/a/sa/b', 'spiffe://td/ns/ab/sa/b', 'spiffe://corp/ns/b/sa/a'] as const;
const CLAIM_PATHS: readonly (readonly string[])[] = [['groups'], ['a'], ['a', 'b']];
const CLAIMS: readonly (Claims | undefined)[] = [
  undefined,
  { iss: 'a', sub: 'b' },
  { iss: 'ab', sub: 'a', groups: 'a' },
  { iss: 'a', sub: 'ab', groups: ['a', 'b'] },
  { iss: 'b', groups: ['aba'], a: 'b' },
  { iss: 'a', sub: 'a', groups: 'a b', a: { b: 'a' } },
  { iss: 'ba', sub: 'x', a: { b: ['ab', 'x'] } },
];

/** A JWT rule that accepts every token, so that both sides see the same claims. */
const ANY_TOKEN: JwtProvider = {
  name: 'origins-0',
  source: { kind: 'RequestAuthentication', namespace: 'n', name: 'jwt', generation: 0, rule: 0 },
  issuer: '',
  audiences: [],
  headers: [{ name: 'authorization', prefix: 'Bearer ' }],
  params: [],
  cookies: [],
  forward: false,
  payloadHeader: '',
  claimHeaders: [],
  spaceDelimitedClaims: ['permission', 'scope'],
  keySet: 'keys',
  required: false,
};

function textMatch(words: readonly string[]): fc.Arbitrary<StringMatch> {
  const kind = fc.constantFrom<'exact' | 'prefix' | 'suffix'>('exact', 'exact', 'prefix', 'suffix');
  return fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind, value: fc.constantFrom(...words) }) },
    { weight: 1, arbitrary: fc.constant<StringMatch>({ kind: 'present' }) },
  );
}

const pathMatch: fc.Arbitrary<PathMatch> = fc.oneof(
  { weight: 3, arbitrary: textMatch([...PATHS, '/', 'b', '.a']) },
  { weight: 2, arbitrary: fc.constantFrom(...TEMPLATES).map((value): PathMatch => ({ kind: 'template', value })) },
);

const identityMatch: fc.Arbitrary<IdentityMatch> = fc.oneof(
  textMatch(PEERS),
  fc.constantFrom('/b', 'a').map((value): IdentityMatch => ({ kind: 'spiffeSuffix', value })),
  fc.constantFrom('a', 'a*', '*b', '*').map((pattern): IdentityMatch => ({ kind: 'namespace', pattern })),
  fc
    .record({ namespace: fc.constantFrom('a', 'b'), name: fc.constantFrom('a', 'b') })
    .map((one): IdentityMatch => ({ kind: 'serviceAccount', ...one })),
  fc
    .record({ prefix: fc.constantFrom('t', ''), suffix: fc.constantFrom('d', '') })
    .map((one): IdentityMatch => ({ kind: 'trustDomain', ...one })),
);

interface Lists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

function lists<M>(match: fc.Arbitrary<M>): fc.Arbitrary<Lists<M>> {
  const some = fc.array(match, { minLength: 1, maxLength: 2 });
  return fc.oneof(
    { weight: 3, arbitrary: some.map((anyOf) => ({ anyOf })) },
    { weight: 2, arbitrary: some.map((noneOf) => ({ noneOf })) },
    { weight: 1, arbitrary: fc.record({ anyOf: some, noneOf: some }) },
  );
}

/** Of few words and often `*`, as in policies, so that principals overlap. */
const principalPart: fc.Arbitrary<StringMatch> = fc.oneof(textMatch(['a', 'b', 'ab']), fc.constant<StringMatch>({ kind: 'present' }));

/** Clauses of each attribute by name. */
const CLAUSES: Readonly<Record<string, fc.Arbitrary<Clause>>> = {
  path: lists(pathMatch).map((own): Clause => ({ attribute: 'path', field: 'paths', ...own })),
  method: fc.oneof(
    lists(textMatch(['GET', 'POST', 'P', 'TOK'])).map((own): Clause => ({ attribute: 'method', field: 'methods', ...own })),
    lists(textMatch(['GET', 'POST', 'TOK'])).map((own): Clause => ({ attribute: 'header', field: 'methods', name: ':method', ...own })),
  ),
  host: fc.oneof(
    lists(textMatch([...HOSTS, '.b', 'a.'])).map((own): Clause => ({ attribute: 'host', field: 'hosts', ...own })),
    lists(textMatch([...HOSTS, '.b'])).map(
      (own): Clause => ({ attribute: 'header', field: 'request.headers[host]', name: 'host', ...own }),
    ),
  ),
  // By its pseudo header the path has a query.
  target: fc.oneof(
    lists(textMatch(['/a', '/a?', '/a?b', '?', 'b', '/a/', '=?b'])).map(
      (own): Clause => ({ attribute: 'header', field: 'request.headers[:path]', name: ':path', ...own }),
    ),
    lists(pathMatch).map((own): Clause => ({ attribute: 'path', field: 'paths', ...own })),
  ),
  header: lists(textMatch(WORDS)).map((own): Clause => ({ attribute: 'header', field: 'request.headers[x-a]', name: 'x-a', ...own })),
  address: fc
    .tuple(fc.constantFrom('sourceIp' as const, 'remoteIp' as const), lists(fc.constantFrom(...BLOCKS)))
    .map(([attribute, own]): Clause => ({ attribute, field: attribute, ...own })),
  port: lists(fc.constantFrom(80, 8080)).map((own): Clause => ({ attribute: 'destinationPort', field: 'ports', ...own })),
  peer: lists(identityMatch).map((own): Clause => ({ attribute: 'peer', field: 'principals', ...own })),
  principal: lists(fc.record({ iss: principalPart, sub: principalPart })).map(
    (own): Clause => ({ attribute: 'requestPrincipal', field: 'requestPrincipals', ...own }),
  ),
  claim: fc
    .tuple(fc.constantFrom(...CLAIM_PATHS), lists(textMatch(WORDS)))
    .map(([path, own]): Clause => ({ attribute: 'claim', field: 'request.auth.claims', path, ...own })),
};

type Body = Pick<Rule, 'from' | 'to' | 'when'>;

function bodyOf(clause: fc.Arbitrary<Clause>): fc.Arbitrary<Body> {
  const entry = fc.array(clause, { maxLength: 2 });
  return fc.record({
    from: fc.array(entry, { minLength: 1, maxLength: 3 }),
    to: fc.array(entry, { minLength: 1, maxLength: 2 }),
    when: fc.array(clause, { maxLength: 2 }),
  });
}

/** Sources of one clause each, mostly without anything else, so that each source matters. */
function shortBodyOf(clause: fc.Arbitrary<Clause>): fc.Arbitrary<Body> {
  const entry = clause.map((one) => [one]);
  const nothing = { weight: 3, arbitrary: fc.constant<readonly (readonly Clause[])[]>([[]]) };
  return fc.record({
    from: fc.array(entry, { minLength: 1, maxLength: 3 }),
    to: fc.oneof(nothing, { weight: 1, arbitrary: fc.array(entry, { minLength: 1, maxLength: 2 }) }),
    when: fc.array(clause, { maxLength: 1 }),
  });
}

function rulesOf(bodies: readonly Body[], action: string): readonly Rule[] {
  return bodies.map((body, index) => ({
    id: `ns[n]-policy[${action}${index}]-rule[0]`,
    source: { kind: 'AuthorizationPolicy', namespace: 'n', name: `${action}${index}`, generation: 0, rule: 0 },
    ...body,
  }));
}

/** What the two programs of a pair are made of: the second mostly repeats the first. */
interface Sketch {
  readonly allow: readonly Body[] | undefined;
  readonly deny: readonly Body[];
  readonly custom: readonly Body[];
  readonly refusal: readonly Body[];
}

const NO_ENGINE: Engine = { attached: false, rules: [] };

function programOf({ allow, deny, custom, refusal }: Sketch): Program {
  const steps: readonly CustomStep[] = [
    ...(custom.length === 0
      ? []
      : [{ name: 'p', provider: { name: 'p', kind: 'http', service: 'p.n', port: 80 } as never, rules: rulesOf(custom, 'custom') }]),
    ...(refusal.length === 0 ? [] : [{ name: 'q', refusal: 'unknown', rules: rulesOf(refusal, 'refusal') }]),
  ];
  const http: Ruleset = {
    custom: steps,
    audit: NO_ENGINE,
    deny: { attached: deny.length > 0, rules: rulesOf(deny, 'deny') },
    allow: allow === undefined ? NO_ENGINE : { attached: true, rules: rulesOf(allow, 'allow') },
    dryRunDeny: { attached: true, rules: rulesOf(allow ?? [], 'dry') },
    dryRunAllow: NO_ENGINE,
  };
  return { pathNormalization: 'BASE', trustedProxies: [], providers: [ANY_TOKEN], http, tcp: http };
}

/** A pair of programs over two or three attributes, so that all requests over their vocabulary can be tried. */
export interface ModelPair {
  readonly attributes: readonly string[];
  readonly programs: readonly [Program, Program];
}

/** Pairs of programs: the same rules in another order, with one rule added, removed or replaced, or unrelated ones. */
export const modelPair: fc.Arbitrary<ModelPair> = fc
  .uniqueArray(fc.constantFrom(...Object.keys(CLAUSES), 'principal'), { minLength: 1, maxLength: 3 })
  .chain((attributes) => {
    const any = fc.oneof(...attributes.map((name) => CLAUSES[name] as fc.Arbitrary<Clause>));
    const few = fc.array(any, { minLength: 1, maxLength: 3 }).map((clauses) => fc.constantFrom(...clauses.flatMap(withOpposite)));
    return fc.oneof(
      { weight: 2, arbitrary: pairsOver(attributes, bodyOf(any)) },
      { weight: 1, arbitrary: few.chain((clause) => pairsOver(attributes, shortBodyOf(clause))) },
      { weight: 1, arbitrary: few.chain((clause) => denialsOver(attributes, clause)) },
    );
  });

/** Entries of `from` over one or two attributes. */
export const modelEntries: fc.Arbitrary<{
  readonly attributes: readonly string[];
  readonly entries: readonly (readonly Clause[])[];
}> = fc.uniqueArray(fc.constantFrom(...Object.keys(CLAUSES)), { minLength: 1, maxLength: 2 }).chain((attributes) => {
  const clause = fc.oneof(...attributes.map((name) => CLAUSES[name] as fc.Arbitrary<Clause>));
  return fc.array(fc.array(clause, { maxLength: 2 }), { maxLength: 3 }).map((entries) => ({ attributes, entries }));
});

/** The clause, and the one that holds where it fails; so that rules of few clauses exclude each other. */
function withOpposite(clause: Clause): readonly Clause[] {
  const { anyOf, noneOf, ...rest } = clause as { readonly anyOf?: unknown; readonly noneOf?: unknown };
  return [
    clause,
    { ...rest, ...(anyOf === undefined ? {} : { noneOf: anyOf }), ...(noneOf === undefined ? {} : { anyOf: noneOf }) } as Clause,
  ];
}

/** Pairs of programs whose rules are of `body`. */
function pairsOver(attributes: readonly string[], body: fc.Arbitrary<Body>): fc.Arbitrary<ModelPair> {
  const some = (maxLength: number): fc.Arbitrary<readonly Body[]> => fc.array(body, { maxLength });
  const rare = fc.oneof({ weight: 4, arbitrary: fc.constant<readonly Body[]>([]) }, { weight: 1, arbitrary: some(2) });
  const deny = fc.oneof(rare, some(2));
  const sketch = fc.record({ allow: fc.option(some(4), { freq: 5, nil: undefined }), deny, custom: rare, refusal: rare });
  return fc.tuple(sketch, sketch, body, fc.nat(7), fc.nat(3)).map(([one, other, extra, edit, at]): ModelPair => {
    const after = edited(one, other, extra, edit, at);
    return { attributes, programs: [programOf(one), programOf(after)] };
  });
}

/** A DENY rule of one source that only one program has, over ALLOW rules of the same clauses. */
function denialsOver(attributes: readonly string[], clause: fc.Arbitrary<Clause>): fc.Arbitrary<ModelPair> {
  const denied = clause.map((one): Body => ({ from: [[one]], to: [[]], when: [] }));
  const allow = fc.array(shortBodyOf(clause), { minLength: 1, maxLength: 3 });
  return fc.tuple(allow, denied, fc.boolean()).map(([allowed, body, isRemoved]): ModelPair => {
    const open: Sketch = { allow: allowed, deny: [], custom: [], refusal: [] };
    const programs = [programOf({ ...open, deny: [body] }), programOf(open)] as const;
    return { attributes, programs: isRemoved ? programs : [programs[1], programs[0]] };
  });
}

function edited(one: Sketch, other: Sketch, extra: Body, edit: number, at: number): Sketch {
  const allow = one.allow ?? [];
  switch (edit) {
    case 0:
      return other;
    case 1:
      return { ...one, allow: [...allow, extra] };
    case 2:
      return { ...one, allow: allow.filter((_, index) => index !== at) };
    case 3:
      return { ...one, allow: allow.flatMap((body) => body.to.map((to) => ({ ...body, to: [to] }))) };
    case 4:
      return { ...one, deny: [...one.deny, extra] };
    case 5:
      return { ...one, deny: one.deny.slice(1) };
    case 6:
      return { ...one, custom: other.custom, refusal: other.refusal };
    default:
      return { ...one, allow: one.allow?.toReversed() };
  }
}

/** Every request over the vocabulary of the attributes; the others have one value. */
export function* requestsOver(attributes: readonly string[]): Generator<ModelRequest> {
  const has = (name: string): boolean => attributes.includes(name);
  const pick = <T>(name: string, all: readonly T[]): readonly T[] => (has(name) ? all : all.slice(0, 1));
  const claims = has('claim') || has('principal') ? CLAIMS : [undefined];
  const headers: readonly (readonly string[])[] = [[], ['a'], ['ab'], ['a', 'b'], [''], ['ba', 'a b']];
  const paths = has('target') ? PATHS.flatMap((path) => QUERIES.map((query) => path + query)) : pick('path', PATHS);
  for (const path of paths) {
    for (const method of pick('method', ['GET', 'POST', 'PUT', 'TOKEN'])) {
      for (const host of pick('host', HOSTS)) {
        for (const values of pick('header', headers)) {
          for (const sourceIp of pick('address', ADDRESSES)) {
            for (const port of pick('port', [80, 8080, 1])) {
              for (const peers of pick('peer', [[], ...PEERS.map((peer) => [peer]), [PEERS[0], PEERS[2]]])) {
                for (const payload of claims) {
                  yield {
                    path,
                    method,
                    host,
                    headers: values,
                    sourceIp,
                    port,
                    peers,
                    ...(payload === undefined ? {} : { claims: payload }),
                  };
                }
              }
            }
          }
        }
      }
    }
  }
}

/** The facts of a request of the model. */
export function modelFacts(
  { method, host, path, headers, sourceIp, port, peers, claims }: ModelRequest,
  remoteIp: string = sourceIp,
): RequestFacts {
  const valuesByName: Readonly<Record<string, readonly string[]>> = { host: [host], 'x-a': headers, ':path': [path], ':method': [method] };
  return {
    connection: {
      sourceIp,
      destinationIp: '192.0.2.77',
      destinationPort: port,
      sni: '',
      tls: peers.length > 0,
      ...(peers.length === 0 ? {} : { peer: { uris: peers, dnsNames: [], subject: '' } }),
    },
    method,
    host,
    path: path.split('?', 1)[0] ?? '',
    pathWithQuery: path,
    remoteIp,
    headerList: headers.flatMap((value) => ['x-a', value]),
    headerValues: (name) => valuesByName[name] ?? [],
    ...(claims === undefined ? {} : { claims }),
  };
}

/** Does the second program let in what the first may refuse? A CUSTOM server that only the first one asks may refuse. */
export type Admits = (facts: RequestFacts) => boolean;

/** Tests of both directions on one request, by the simple evaluator. */
export function directionTests([before, after]: readonly [Program, Program]): { readonly widened: Admits; readonly narrowed: Admits } {
  const [one, other] = [createLinearEvaluator(before), createLinearEvaluator(after)];
  const view = (evaluator: typeof one, facts: RequestFacts): { readonly isAllowed: boolean; readonly servers: readonly string[] } => {
    const custom = evaluator.custom(facts);
    const isRefused = custom.some(({ step }) => step.provider === undefined);
    return {
      isAllowed: !isRefused && evaluator.decide(facts).allowed,
      servers: custom.flatMap(({ step }) => (step.provider === undefined ? [] : [step.name])),
    };
  };
  const admits = (refusing: typeof one, admitting: typeof one, facts: RequestFacts): boolean => {
    const [refused, admitted] = [view(refusing, facts), view(admitting, facts)];
    return admitted.isAllowed && (!refused.isAllowed || refused.servers.some((server) => !admitted.servers.includes(server)));
  };
  return { widened: (facts) => admits(one, other, facts), narrowed: (facts) => admits(other, one, facts) };
}

/** The facts of a witness. */
export function witnessFacts({ request, tokens }: Witness): RequestFacts {
  const { method, path, host = 'x', headers, sourceIp = '192.0.2.1', forwardedFor, port = 80, peers } = request;
  const values = headers.map(([, value]) => value);
  const claims = tokens[0]?.claims;
  return modelFacts(
    { method, path, host, headers: values, sourceIp, port, peers, ...(claims === undefined ? {} : { claims }) },
    forwardedFor ?? sourceIp,
  );
}

/** The answer of the prover. Throws when a witness does not show what it claims. */
export function proveModel(programs: readonly [Program, Program]): Comparison {
  const tests = directionTests(programs);
  return comparePrograms(...programs, {
    protocol: 'http',
    isOver: () => false,
    confirm: (witness, direction) => {
      if (!tests[direction](witnessFacts(witness))) throw new Error(`not ${direction}: ${JSON.stringify(witness)}`);
      return true;
    },
  });
}

/** What the prover claims and brute force refutes; undefined: they agree. */
export function contradictionOf({ attributes, programs }: ModelPair): string | undefined {
  const proof = proveModel(programs);
  const tests = directionTests(programs);
  for (const direction of ['widened', 'narrowed'] as const) {
    if (proof[direction].kind === 'undecided') return `${direction} is undecided: ${proof[direction].reason}`;
    if (proof[direction].kind !== 'none') continue;
    for (const request of requestsOver(attributes)) {
      for (const remoteIp of attributes.includes('address') ? ADDRESSES : [request.sourceIp]) {
        if (tests[direction](modelFacts(request, remoteIp)))
          return `${direction} is disproved by ${JSON.stringify({ ...request, remoteIp })}`;
      }
    }
  }
  return undefined;
}
