/* Rules that another rule covers, and rules that only look covered. */
import { expect } from 'chai';
import { lintPolicies } from '../../../src/lint/lint-policies.ts';
import { ap, findingsOf, lint, provenLint, type Spec } from './policies.ts';

const path = (...paths: readonly string[]): Spec => ({ to: [{ operation: { paths } }] });
const to = (...operations: readonly Spec[]): Spec => ({ to: operations.map((operation) => ({ operation })) });
const from = (...sources: readonly Spec[]): Spec => ({ from: sources.map((source) => ({ source })) });
const when = (key: string, values?: readonly string[], notValues?: readonly string[]): Spec => ({ when: [{ key, values, notValues }] });
const claim = 'request.auth.claims[g]';
const header = 'request.headers[x]';

type Pair = readonly [what: string, wide: Spec, narrow: Spec];

const QUICK: readonly Pair[] = [
  ['any rule by the empty rule', {}, path('/a')],
  ['an equal rule', path('/a'), path('/a')],
  ['a longer path', path('/a*'), path('/a/b')],
  ['a longer prefix', path('/a*'), path('/a/b*')],
  ['a longer suffix', path('*.js'), path('*.min.js')],
  ['the same template', path('/a/{**}'), path('/a/{**}')],
  ['fewer values', path('/a', '/b'), path('/b')],
  ['a prefix by any path', path('*'), path('/a*')],
  ['one more field', path('/a'), to({ paths: ['/a'], methods: ['GET'] })],
  ['one more condition', path('/a'), { ...path('/a'), ...when(header, ['y']) }],
  ['a header prefix by any value', when(header, ['*']), when(header, ['y*'])],
  ['a claim by any value', when(claim, ['*']), when(claim, ['a'])],
  ['a smaller block', from({ ipBlocks: ['10.0.0.0/8'] }), from({ ipBlocks: ['10.1.0.0/16'] })],
  ['the same address as a condition', from({ ipBlocks: ['10.0.0.0/8'] }), when('source.ip', ['10.0.0.1'])],
  ['a port', to({ ports: ['80', '81'] }), when('destination.port', ['080'])],
  ['a principal', from({ requestPrincipals: ['*'] }), from({ requestPrincipals: ['iss/*'] })],
  ['a subject', from({ requestPrincipals: ['iss/*'] }), from({ requestPrincipals: ['iss/bob'] })],
  ['a peer', from({ principals: ['cluster.local/ns/foo/*'] }), from({ principals: ['cluster.local/ns/foo/sa/x'] })],
  ['another alternative', from({ ipBlocks: ['10.0.0.1'] }, { ipBlocks: ['10.0.0.2'] }), from({ ipBlocks: ['10.0.0.2'] })],
  ['a rule that excludes more', to({ notPaths: ['/a'] }), to({ notPaths: ['/a*'] })],
  ['a host under a suffix', to({ hosts: ['*.a.test'] }), to({ hosts: ['x.a.test'] })],
];

/** What only the prover knows. */
const PROVEN: readonly Pair[] = [
  ['a path of a template', path('/a/{*}/c'), path('/a/b/c')],
  ['a template below a prefix', path('/a/*'), path('/a/{*}/c')],
  ['a narrower template', path('/{**}'), path('/a/{*}/c')],
  ['an account of a namespace', from({ namespaces: ['foo'] }), from({ serviceAccounts: ['foo/x'] })],
  ['a block by its halves', from({ ipBlocks: ['10.0.0.0/9', '10.128.0.0/9'] }), from({ ipBlocks: ['10.0.0.0/8'] })],
  ['a host in other letters', to({ hosts: ['a.test'] }), when('request.headers[host]', ['A.test'])],
  ['what an exclusion leaves', to({ paths: ['/b'] }), to({ paths: ['/a', '/b'], notPaths: ['/a'] })],
  ['a method by the exclusion of another', to({ notMethods: ['GET'] }), to({ methods: ['POST'] })],
];

const APART: readonly Pair[] = [
  ['a prefix by its own path', path('/a'), path('/a*')],
  ['a path with another prefix', path('/a/*'), path('/a')],
  ['a template by a longer prefix', path('/a/b*'), path('/a/{*}')],
  ['a claim prefix, whose values may contain a newline, by any value', when(claim, ['*']), when(claim, ['a*'])],
  ['a larger block', from({ ipBlocks: ['10.1.0.0/16'] }), from({ ipBlocks: ['10.0.0.0/8'] })],
  ['an address of the other family', from({ ipBlocks: ['0.0.0.0/0'] }), from({ ipBlocks: ['::1'] })],
  ['an address by one of X-Forwarded-For', when('remote.ip', ['10.0.0.0/8']), when('source.ip', ['10.0.0.1'])],
  ['a rule that excludes less', to({ notPaths: ['/a*'] }), to({ notPaths: ['/a'] })],
  ['a rule without an exclusion by one with it', to({ paths: ['/a*'], notPaths: ['/a/x'] }), path('/a/*')],
  ['a header by the exclusion of another value, which may come with it', when(header, undefined, ['a']), when(header, ['b'])],
  ['another header', when('request.headers[x]', ['a']), when('request.headers[y]', ['a'])],
  ['one of two alternatives', from({ ipBlocks: ['10.0.0.1'] }), from({ ipBlocks: ['10.0.0.1'] }, { ipBlocks: ['10.0.0.2'] })],
  ['a rule by one with a further condition', { ...path('/a'), ...when(header, ['y']) }, path('/a')],
  ['a subject by another issuer', from({ requestPrincipals: ['iss/*'] }), from({ requestPrincipals: ['iss2/bob'] })],
  ['a peer of another trust domain', from({ principals: ['td/ns/foo/*'] }), from({ principals: ['td2/ns/foo/sa/x'] })],
];

/** Paths of the unreachable rules of one policy. */
function unreachable(action: string, rules: readonly Spec[], check = provenLint): readonly string[] {
  const policy = ap({ action, rules, ...(action === 'CUSTOM' && { provider: { name: 'x' } }) });
  return check(policy)
    .filter((text) => text.startsWith('SP_UNREACHABLE_RULE'))
    .map((text) => text.replace('SP_UNREACHABLE_RULE spec.', ''));
}

describe('lint of covered rules', () => {
  for (const [what, wide, narrow] of QUICK) {
    it(`warns when a rule covers ${what}`, () => {
      for (const action of ['DENY', 'ALLOW']) {
        expect(unreachable(action, [wide, narrow], lint), `quick ${action}`).to.deep.equal(['rules[1]']);
        expect(unreachable(action, [wide, narrow]), action).to.deep.equal(['rules[1]']);
      }
    });
  }
  for (const [what, wide, narrow] of PROVEN) {
    it(`proves when a rule covers ${what}`, () => {
      expect(unreachable('DENY', [wide, narrow], lint), 'without a prover').to.not.include('rules[1]');
      expect(unreachable('DENY', [wide, narrow])).to.include('rules[1]');
    });
  }
  for (const [what, wide, narrow] of APART) {
    it(`reports nothing for ${what}`, () => {
      expect(unreachable('DENY', [wide, narrow])).to.not.include('rules[1]');
    });
  }

  it('warns of a rule before the wider one', () => {
    expect(unreachable('ALLOW', [path('/a/b'), path('/a*')])).to.deep.equal(['rules[0]']);
  });

  it('does not warn when the wider ALLOW rule is dropped on TCP', () => {
    const [wide, narrow] = [from({ ipBlocks: ['10.0.0.0/8'] }, { requestPrincipals: ['*'] }), from({ ipBlocks: ['10.0.0.1'] })];

    expect(unreachable('ALLOW', [wide, narrow])).to.deep.equal([]);
    expect(unreachable('DENY', [wide, narrow])).to.deep.equal(['rules[1]']);
  });

  const A = path('/a/b');
  const WIDE = path('/a/*');
  const wide = ap({ rules: [WIDE] }, { name: 'wide' });
  const labels = { selector: { matchLabels: { app: 'x' } } };
  const covered = ['SP_UNREACHABLE_RULE spec.rules[0]'];

  it('compares a policy with those that select all of its pods', () => {
    expect(lint(wide, ap({ rules: [A] }))).to.deep.equal(covered);
    expect(lint(wide, ap({ ...labels, rules: [A] }))).to.deep.equal(covered);
    expect(lint(ap({ rules: [WIDE] }, { namespace: 'istio-system' }), ap({ rules: [A] }))).to.deep.equal(covered);
    expect(lint(ap({ ...labels, rules: [WIDE] }), ap({ rules: [A] }, { name: 'q' }))).to.deep.equal([]);
    expect(lint(wide, ap({ rules: [A] }, { namespace: 'bar' }))).to.deep.equal([]);
  });

  it('compares a selector with selectors of a subset of its labels', () => {
    const select = (matchLabels: Spec, rules: readonly Spec[], name: string): ReturnType<typeof ap> =>
      ap({ selector: { matchLabels }, rules }, { name });
    const many = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`l${i}`, 'x']));

    expect(lint(select({ tier: 'web' }, [WIDE], 'wide'), select({ app: 'x', tier: 'web' }, [A], 'q'))).to.deep.equal(covered);
    expect(lint(select({ tier: 'db' }, [WIDE], 'wide'), select({ app: 'x', tier: 'web' }, [A], 'q'))).to.deep.equal([]);
    expect(lint(select({ app: 'x', tier: 'web' }, [WIDE], 'wide'), select({ tier: 'web' }, [A], 'q'))).to.deep.equal([]);
    expect(lint(wide, select(many, [A], 'q')), 'more labels than lint compares').to.deep.equal(covered);
    expect(lint(select({ l0: 'x' }, [WIDE], 'wide'), select(many, [A], 'q'))).to.deep.equal([]);
  });

  it('names the policy of the wider rule', () => {
    const [finding] = findingsOf(wide, ap({ rules: [A] }));

    expect(finding?.message).to.equal('this rule has no effect: spec.rules[0] of foo/wide matches every request that it matches');
  });

  it('compares only rules of the same action, provider and mode', () => {
    const dryRun = { name: 'q', annotations: { 'istio.io/dry-run': 'true' } };
    const custom = (name: string): Spec => ({ action: 'CUSTOM', provider: { name } });

    expect(lint(wide, ap({ action: 'DENY', rules: [A] }, { name: 'q' }))).to.deep.equal([]);
    expect(lint(ap({ rules: [WIDE] }, dryRun), ap({ rules: [A] }))).to.deep.equal([]);
    expect(lint(ap({ ...custom('x'), rules: [WIDE] }), ap({ ...custom('y'), rules: [A] }, { name: 'q' }))).to.deep.equal([]);
    expect(lint(ap({ ...custom('x'), rules: [WIDE] }), ap({ ...custom('x'), rules: [A] }, { name: 'q' }))).to.deep.equal(covered);
  });

  it('warns only of the second of two equal rules', () => {
    expect(findingsOf(ap({ rules: [A] }), ap({ rules: [A] }, { name: 'q' })).map(({ message }) => message)).to.deep.equal([
      'this rule has no effect: spec.rules[0] of foo/p matches every request that it matches',
    ]);
  });

  it('considers the aliases of the trust domain', () => {
    const [wider, narrower] = [from({ principals: ['cluster.local/*'] }), from({ principals: ['cluster.local/ns/foo/sa/x'] })];
    const warned = (aliases: readonly string[]): number =>
      lintPolicies([ap({ rules: [wider, narrower] })], { rootNamespace: 'istio-system', trustDomainAliases: aliases })
        .flatMap(({ findings }) => findings)
        .filter(({ code }) => code === 'SP_UNREACHABLE_RULE').length;

    expect([warned([]), warned(['old.local'])]).to.deep.equal([1, 0]);
  });

  it('reports nothing when the comparison exceeds its budget', () => {
    const many = Array.from({ length: 400 }, (_, index) => `/x${1000 + index}*`);

    expect(unreachable('ALLOW', [path(...many), path(...many.map((text) => `${text.slice(0, -1)}/y`))], lint)).to.deep.equal([]);
  });

  it('warns of a rule that no request matches, unless one of its values is reported', () => {
    expect(provenLint(ap({ rules: [to({ paths: ['/a/b'], notPaths: ['/a/*'] })] }))).to.deep.equal(['SP_NEVER_MATCHES spec.rules[0]']);
    expect(provenLint(ap({ rules: [path('a')] }))).to.deep.equal(['SP_NEVER_MATCHES spec.rules[0].to[0].operation.paths[0]']);
    expect(provenLint(ap({ rules: [{ ...path('/a'), ...when('source.ip', ['10.0.0.1'], ['10.0.0.0/8']) }] }))).to.deep.equal([
      'SP_NEVER_MATCHES spec.rules[0]',
    ]);
  });

  it('warns of a rule that matches every request without being empty', () => {
    const every = path('/*');

    expect(provenLint(ap({ action: 'DENY', rules: [every] }))).to.deep.equal(['SP_WIDE_RULE spec.rules[0]']);
    expect(provenLint(ap({ rules: [from({ ipBlocks: ['0.0.0.0/1', '128.0.0.0/1', '::/0'] })] }))).to.deep.equal([
      'SP_WIDE_RULE spec.rules[0]',
    ]);
    expect(provenLint(ap({ rules: [{}] }))).to.deep.equal(['SP_WIDE_RULE spec.rules[0]']);
    expect(lint(ap({ rules: [every] }))).to.deep.equal([]);
  });

  it('warns of rules under a policy that denies every request in other words', () => {
    const denier = ap({ action: 'DENY', rules: [from({ ipBlocks: ['0.0.0.0/0', '::/0'] })] }, { name: 'denier' });

    expect(provenLint(denier, ap({ rules: [path('/a')] }))).to.deep.equal(['SP_WIDE_RULE spec.rules[0]', 'SP_UNREACHABLE_RULE spec.rules']);
  });
});
