/*
 * The indexed evaluator compared with the linear one on programs that are difficult for an index. test/property/engine.test.ts compares
 * them on random programs.
 */
import { expect } from 'chai';
import type { Evaluator } from '../../../../src/policy/decide/decision.ts';
import { createEvaluator } from '../../../../src/policy/decide/evaluator.ts';
import { createLinearEvaluator } from '../../../../src/policy/decide/linear.ts';
import type { Json, RequestFacts } from '../../../../src/policy/facts.ts';
import type { Clause, Program, Rule } from '../../../../src/policy/model/program.ts';
import { createTokenNotes } from '../../../../src/policy/token-notes.ts';
import { engine, factsWith, programOf, rule } from './fixtures.ts';

const exact = (value: string) => ({ kind: 'exact', value }) as const;
const path = (value: string): Clause => ({ attribute: 'path', field: 'paths', anyOf: [exact(value)] });
const method = (value: string): Clause => ({ attribute: 'method', field: 'methods', anyOf: [exact(value)] });
const group = (value: string): Clause => ({
  attribute: 'claim',
  field: 'request.auth.claims[groups]',
  path: ['groups'],
  anyOf: [exact(value)],
});
const notPath = (value: string): Clause => ({ attribute: 'path', field: 'notPaths', noneOf: [exact(value)] });

function rules(count: number, parts: (i: number) => Partial<Pick<Rule, 'from' | 'to' | 'when'>>): readonly Rule[] {
  return Array.from({ length: count }, (_, i) => rule(`p${String(i).padStart(5, '0')}`, parts(i)));
}

function allowing(all: readonly Rule[]): Program {
  return programOf({ allow: engine(...all) });
}

function expectSame(program: Program, facts: RequestFacts): ReturnType<Evaluator['decide']> {
  const decision = createEvaluator(program).decide(facts);
  expect(decision).to.deep.equal(createLinearEvaluator(program).decide(facts));
  return decision;
}

describe('createEvaluator', () => {
  it('returns the first of many matching rules', () => {
    const all = rules(300, (i) => ({ to: [[path('/same'), method(i < 250 ? 'POST' : 'GET')]] }));

    expect(expectSame(allowing(all), factsWith({ pathWithQuery: '/same' })).rule).to.equal(all[250]);
  });

  it('reports audit and dry-run engines, each alone and together', () => {
    const engines = {
      audit: engine(rule('audit', { to: [[path('/audit')]] })),
      dryRunDeny: engine(rule('dry-deny', { to: [[path('/dry-deny')]] })),
      dryRunAllow: engine(rule('dry-allow', { to: [[path('/dry-allow')]] })),
    };
    const deny = engine(rule('deny', { to: [[path('/deny')]] }));
    const sets = [engines, ...Object.entries(engines).map(([name, one]) => ({ [name]: one }))];
    for (const set of sets) {
      for (const requested of ['/audit', '/dry-deny', '/dry-allow', '/deny', '/other']) {
        const decision = expectSame(programOf({ ...set, deny }), factsWith({ pathWithQuery: requested }));
        const reported = ['audit', 'dryRunDeny', 'dryRunAllow'].filter((name) => name in decision);

        const expected = Object.keys(set).filter((name) => name !== 'dryRunAllow' || requested !== '/deny');
        expect(reported, requested).to.have.members(expected);
      }
    }
  });

  it('decides what a dry run of ALLOW would deny', () => {
    const program = programOf({
      dryRunAllow: engine(rule('dry', { to: [[path('/a')]] })),
      dryRunDeny: engine(rule('dry', { to: [[path('/a')]] })),
    });

    expect(expectSame(program, factsWith({ pathWithQuery: '/a' }))).to.deep.include({ allowed: true });
    expect(expectSame(program, factsWith({ pathWithQuery: '/a' })).dryRunAllow?.allowed).to.equal(true);
    expect(expectSame(program, factsWith({ pathWithQuery: '/a' })).dryRunDeny?.allowed).to.equal(false);
    expect(expectSame(program, factsWith({ pathWithQuery: '/b' })).dryRunAllow).to.deep.equal({ allowed: false });
    expect(expectSame(program, factsWith({ pathWithQuery: '/b' })).dryRunDeny).to.deep.equal({ allowed: true });
  });

  it('returns the same decision object for the same rule', () => {
    const evaluator = createEvaluator(allowing(rules(20, (i) => ({ to: [[path(`/${i}`)]] }))));

    expect(evaluator.decide(factsWith({ pathWithQuery: '/7' }))).to.equal(evaluator.decide(factsWith({ pathWithQuery: '/7' })));
  });

  it('finds a rule when no rule has clauses', () => {
    expect(expectSame(allowing(rules(40, () => ({}))), factsWith()).allowed).to.equal(true);
  });

  it('skips rules that exclude the request', () => {
    const all = rules(64, (i) => ({ to: [[notPath(i === 63 ? '/other' : '/p')]] }));

    expect(expectSame(allowing(all), factsWith()).rule).to.equal(all[63]);
  });

  it('finds no rule when every rule excludes the request', () => {
    const all = rules(64, () => ({
      to: [[notPath('/p')], [notPath('/p'), { attribute: 'host', field: 'notHosts', noneOf: [exact('h')] }]],
    }));

    expect(expectSame(allowing(all), factsWith()).reason).to.equal('no-allow-rule-matched');
  });

  it('matches any of many values of a header', () => {
    const header = (value: string): Clause => ({ attribute: 'header', field: 'request.headers[x]', name: 'x', anyOf: [exact(value)] });
    const all = rules(100, (i) => ({ when: [header(`v${i}`)], to: [[method(i === 77 ? 'GET' : 'POST')]] }));
    const values = Array.from({ length: 100 }, (_, i) => `v${99 - i}`);

    expect(expectSame(allowing(all), factsWith({ headers: { x: values } })).rule).to.equal(all[77]);
  });

  it('keeps the order of the rules when values are in another order', () => {
    const header = (value: string): Clause => ({ attribute: 'header', field: 'request.headers[x]', name: 'x', anyOf: [exact(value)] });
    const all = rules(640, (i) => ({ when: [header(`v${i % 320}`)], to: [[method(i % 2 === 0 ? 'GET' : 'POST')]] }));
    const values = Array.from({ length: 10 }, (_, i) => `v${300 - i * 32}`);

    expect(expectSame(allowing(all), factsWith({ headers: { x: values } })).rule).to.equal(all[12]);
  });

  it('finds the rule when many rules name the token', () => {
    const all = rules(100, (i) => ({ when: [group(`g${i}`)], to: [[method(i === 42 ? 'GET' : 'POST')]] }));
    const program = allowing(all);
    const evaluator = createEvaluator(program);
    const facts = factsWith({ claims: { groups: Array.from({ length: 100 }, (_, i) => `g${i}`) } });

    for (let time = 0; time < 3; time++) expect(evaluator.decide(facts).rule).to.equal(all[42]);
  });

  it('distinguishes tokens with different claims', () => {
    const evaluator = createEvaluator(allowing(rules(50, (i) => ({ when: [group(`g${i}`)], to: [[path('/p')]] }))));

    for (const name of ['g7', 'none', 'g8', 'g7']) {
      expect(evaluator.decide(factsWith({ claims: { groups: [name] } })).allowed, name).to.equal(name !== 'none');
    }
    expect(evaluator.decide(factsWith()).allowed).to.equal(false);
  });

  it('decides correctly when the cache of a token is full', () => {
    const evaluator = createEvaluator(allowing(rules(80, (i) => ({ when: [group(i === 79 ? 'mine' : `g${i}`)], to: [[path(`/${i}`)]] }))));
    const claims: { readonly [key: string]: Json } = { groups: 'mine' };

    for (let i = 0; i < 80; i++) {
      expect(evaluator.decide(factsWith({ pathWithQuery: `/${i}`, claims })).allowed, `/${i}`).to.equal(i === 79);
    }
  });

  it('ignores the token before JWT verification', () => {
    const all = rules(30, (i) => ({ when: [group(`g${i}`)] }));
    const evaluator = createEvaluator(programOf({ custom: [{ name: 'c', refusal: 'unknown', rules: all }] }));

    expect(evaluator.custom(factsWith({ claims: { groups: 'g3' } }))).to.deep.equal([]);
  });

  for (const [other, match] of [
    ['nothing else', []],
    ['an exact path', [exact('/elsewhere')]],
    ['a prefix', [{ kind: 'prefix', value: '/elsewhere/x' }]],
    ['a suffix, which segments do not narrow', [{ kind: 'suffix', value: 'elsewhere' }]],
  ] as const) {
    it(`compares segments when a path matches too many templates, together with ${other}`, () => {
      const forked = (i: number): string => Array.from({ length: 12 }, (_, bit) => ((i >> bit) % 2 === 0 ? '/{*}' : '/a')).join('');
      const paths = (i: number): Clause => ({
        attribute: 'path',
        field: 'paths',
        anyOf: [{ kind: 'template', value: `${forked(i)}/svc${i}` }, ...match],
      });
      const all = rules(600, (i) => ({ to: [[paths(i)]] }));

      expect(expectSame(allowing(all), factsWith({ pathWithQuery: `${'/a'.repeat(12)}/svc512` })).rule).to.equal(all[512]);
      expect(expectSame(allowing(all), factsWith({ pathWithQuery: '/a'.repeat(12) })).allowed).to.equal(false);
      expect(expectSame(allowing(all), factsWith({ pathWithQuery: `${'/a'.repeat(12)}/svc5/x` })).allowed).to.equal(false);
    });
  }

  for (const [what, match, missing] of [
    ['an exact path', exact(`${'/a'.repeat(12)}/end`), exact(`${'/a'.repeat(12)}/en`)],
    ['a prefix that ends with a segment', { kind: 'prefix', value: '/a/a/' }, { kind: 'prefix', value: '/a/b/' }],
    ['a prefix that ends in a segment', { kind: 'prefix', value: `${'/a'.repeat(12)}/e` }, { kind: 'prefix', value: '/a/aa' }],
    ['a prefix of one segment', { kind: 'prefix', value: '/' }, { kind: 'prefix', value: '/b' }],
    ['a template of the whole path', { kind: 'template', value: '/a/{**}' }, { kind: 'template', value: '/{*}' }],
    ['a shorter template', { kind: 'template', value: `${'/{*}'.repeat(13)}` }, { kind: 'template', value: '/{*}'.repeat(12) }],
  ] as const) {
    it(`finds ${what} next to templates when a path matches too many of these`, () => {
      const forked = (i: number): string => Array.from({ length: 12 }, (_, bit) => ((i >> bit) % 2 === 0 ? '/{*}' : '/a')).join('');
      const paths = (i: number): Clause => ({
        attribute: 'path',
        field: 'paths',
        anyOf: [{ kind: 'template', value: `${forked(i)}/svc${i}` }, i === 300 ? match : missing],
      });
      const all = rules(600, (i) => ({ to: [[paths(i)]] }));

      expect(expectSame(allowing(all), factsWith({ pathWithQuery: `${'/a'.repeat(12)}/end` })).rule).to.equal(all[300]);
    });
  }

  it('ignores notes on another token', () => {
    const evaluator = createEvaluator(allowing(rules(50, (i) => ({ when: [group(`g${i}`)], to: [[path('/p')]] }))));
    const claims = { groups: ['g7'] };
    const notes = createTokenNotes(claims);
    for (let time = 0; time < 3; time++) expect(evaluator.decide(factsWith({ claims, notes })).allowed).to.equal(true);

    expect(evaluator.decide(factsWith({ claims: { groups: ['none'] }, notes })).allowed).to.equal(false);
  });

  it('ignores what another program has cached about a token', () => {
    const one = createEvaluator(allowing(rules(50, (i) => ({ when: [group(`g${i}`)], to: [[path('/p')]] }))));
    const other = createEvaluator(allowing(rules(50, (i) => ({ when: [group(`h${i}`)], to: [[path('/p')]] }))));
    const claims = { groups: ['g7'] };
    const notes = createTokenNotes(claims);
    const facts = factsWith({ claims, notes });

    for (let time = 0; time < 3; time++) {
      expect(one.decide(facts).allowed).to.equal(true);
      expect(other.decide(facts).allowed).to.equal(false);
      expect(other.decide(facts).allowed).to.equal(false);
    }
  });

  it('matches a template of any depth', () => {
    const deep: Clause = { attribute: 'path', field: 'paths', anyOf: [{ kind: 'template', value: '/{*}'.repeat(5000) }] };
    const all = rules(40, (i) => ({ to: [[i === 39 ? deep : path(`/${i}`)]] }));

    expect(expectSame(allowing(all), factsWith({ pathWithQuery: '/s'.repeat(5000) })).rule).to.equal(all[39]);
  });
});

describe('the indexed evaluator, when the input is hostile', () => {
  it('decides in time for a claim with 200,000 values under 3,000 rules', () => {
    const evaluator = createEvaluator(allowing(rules(3000, (i) => ({ when: [group(`g${i}`)], to: [[path('/p')]] }))));
    const groups = Array.from({ length: 200_000 }, (_, i) => `other${i}`);

    expect(evaluator.decide(factsWith({ claims: { groups } })).allowed).to.equal(false);
    expect(evaluator.decide(factsWith({ claims: { groups: [...groups, 'g2999'] } })).allowed).to.equal(true);
  });

  it('decides in time for a header of 100,000 bytes under 500 rules', () => {
    const header = (value: string): Clause => ({
      attribute: 'header',
      field: 'request.headers[x]',
      name: 'x',
      anyOf: [{ kind: 'suffix', value }],
    });
    const evaluator = createEvaluator(allowing(rules(500, (i) => ({ when: [header('a'.repeat(i + 1))] }))));

    expect(evaluator.decide(factsWith({ headers: { x: ['a'.repeat(100_000), 'b'.repeat(100_000)] } })).rule?.id).to.contain('p00000');
    expect(evaluator.decide(factsWith({ headers: { x: ['b'.repeat(100_000)] } })).allowed).to.equal(false);
  });

  it('decides in time for templates that match a path in every way', () => {
    const choice = (i: number, bit: number): string => ((i >> bit) % 2 === 0 ? '{*}' : 'a');
    const value = (i: number): string => `/${Array.from({ length: 12 }, (_, bit) => choice(i, bit)).join('/')}/end`;
    const all = rules(4096, (i) => ({ to: [[{ attribute: 'path', field: 'paths', anyOf: [{ kind: 'template', value: value(i) }] }]] }));

    expect(createEvaluator(allowing(all)).decide(factsWith({ pathWithQuery: '/a'.repeat(12) })).allowed).to.equal(false);
  });

  it('decides in time for claims nested 10,000 deep', () => {
    let claims: { readonly [key: string]: Json } = { groups: 'g1' };
    for (let depth = 0; depth < 10_000; depth++) claims = { groups: claims };

    expect(createEvaluator(allowing(rules(30, (i) => ({ when: [group(`g${i}`)] })))).decide(factsWith({ claims })).allowed).to.equal(false);
  });

  it('decides in time for an identity full of namespaces and accounts', () => {
    const account = (i: number): Clause => ({
      attribute: 'peer',
      field: 'serviceAccounts',
      anyOf: [{ kind: 'serviceAccount', namespace: `n${i}`, name: 'a' }],
    });
    const program = allowing(rules(50, (i) => ({ from: [[account(i)]] })));
    const uris = [`spiffe://td${'/ns/x/sa/y'.repeat(2000)}/ns/n49/sa/a`];
    const peer = { uris, dnsNames: [], subject: '' };

    expect(expectSame(program, factsWith({ connection: { peer } })).allowed).to.equal(true);
  });
});
