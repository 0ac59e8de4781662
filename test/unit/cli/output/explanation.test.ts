import { expect } from 'chai';
import { explanationValue, formatExplanation, nearestText, type ShownExplanation } from '../../../../src/cli/output/explanation.ts';
import type { Explanation, RuleExplanation } from '../../../../src/explain/explanation.ts';
import { Collected } from '../../../support/cli-context.ts';

function rule(policy: string, changes: Partial<RuleExplanation> = {}): RuleExplanation {
  return {
    rule: { kind: 'AuthorizationPolicy', policy, rule: 0 },
    action: 'ALLOW',
    dryRun: false,
    matched: false,
    reached: true,
    failing: 1,
    nearness: 0,
    misses: [{ path: 'to[0].operation.paths', saw: '/a', wanted: 'one of /b' }],
    hits: [],
    ...changes,
  };
}

function explanation(changes: Partial<Explanation> = {}): Explanation {
  return {
    verdict: { outcome: 'deny', status: 403, details: 'rbac' },
    decidedBy: { stage: 'authorization', reason: 'no-allow-rule-matched', text: 'the only ALLOW rule did not match' },
    dryRun: [],
    authentication: [],
    rules: [rule('foo/a')],
    caveats: [],
    ...changes,
  };
}

function show(changes: Partial<Explanation> = {}, more: Partial<ShownExplanation> = {}): readonly string[] {
  const shown = {
    workload: 'foo/web',
    request: 'GET /a',
    explanation: explanation(changes),
    notApplied: [],
    locate: () => undefined,
    ...more,
  };
  return formatExplanation(shown, new Collected()).split('\n');
}

describe('formatExplanation', () => {
  it('prints the verdict, what decided and the nearest rule', () => {
    expect(show().slice(0, 3)).to.deep.equal([
      'deny 403  GET /a for foo/web',
      'decided in authorization: the only ALLOW rule did not match',
      'nearest: AuthorizationPolicy foo/a rules[0]: to[0].operation.paths is /a, expected one of /b',
    ]);
  });

  it('prints the clauses of the rule that decided, without control characters', () => {
    const hit = { path: 'when[0] request.headers[x]', saw: 'a\u001b', wanted: 'any value', note: 'a note' };
    const matched = rule('foo/a', { matched: true, misses: [], hits: [hit] });
    const decidedBy = { stage: 'authorization', rule: matched.rule, reason: 'allow-rule', text: 'an ALLOW rule matched' } as const;
    const lines = show({ verdict: { outcome: 'allow', principal: 'me/bob' }, decidedBy, rules: [matched] }, { locate: () => 'p.yaml:7' });

    expect(lines.slice(0, 4)).to.deep.equal([
      'allow  GET /a for foo/web',
      'decided in authorization by AuthorizationPolicy foo/a rules[0] (p.yaml:7): an ALLOW rule matched',
      '  when[0] request.headers[x] is a\\u001b, expected any value (a note)',
      'principal: me/bob',
    ]);
  });

  it('marks rules that were not evaluated with parentheses and explains them', () => {
    const lines = show({ rules: [rule('foo/a', { reached: false }), rule('foo/b', { reached: false, matched: true, misses: [] })] });

    expect(lines.filter((line) => /^\((miss|match)\)/.test(line))).to.have.length(2);
    expect(lines).to.include('(2 rules in parentheses: not evaluated, because an earlier step had already decided)');
  });

  it('prints at most 20 rules and 10 policies that do not apply, and counts the others', () => {
    const rules = Array.from({ length: 21 }, (_, index) => rule(`foo/${index}`));
    const notApplied = Array.from({ length: 12 }, (_, index) => ({ policy: `p${index}`, where: 'a:1', reason: 'r' }));
    const lines = show({ rules }, { notApplied });

    expect(lines).to.include('(and 1 more rule; -o json shows all)').and.to.include('(and 2 more policies; -o json shows all)');
  });

  it('prints a row for every miss, with the rule in the first one', () => {
    const misses = [
      { path: 'from[0].source.principals', saw: 'absent', wanted: 'one of a', hint: 'no mTLS' },
      { path: 'from[1].source.ipBlocks', saw: '10.0.0.1', wanted: 'one of 10.1.0.0/16' },
    ];
    const rows = show({ rules: [rule('foo/a', { misses })] }).map((line) => line.trim().split(/ {2,}/));

    expect(rows).to.deep.include(['miss', 'ALLOW', 'foo/a rules[0]', 'from[0].source.principals', 'absent', 'one of a', 'no mTLS']);
    expect(rows).to.deep.include(['from[1].source.ipBlocks', '10.0.0.1', 'one of 10.1.0.0/16']);
  });

  it('prints dry-run outcomes and caveats', () => {
    const dryRun = [
      { action: 'DENY', outcome: 'deny', rule: rule('foo/d').rule },
      { action: 'ALLOW', outcome: 'deny' },
    ] as const;
    const lines = show({ dryRun, caveats: ['keys are unknown'] });

    expect(lines).to.include('dry-run DENY policies would deny it: AuthorizationPolicy foo/d rules[0]');
    expect(lines).to.include('dry-run ALLOW policies would deny it: none of their rules matched');
    expect(lines).to.include('note: keys are unknown');
  });

  it('prints the result of every JWT rule', () => {
    const jwt = { kind: 'RequestAuthentication', policy: 'foo/jwt', rule: 1 } as const;
    const lines = show({ authentication: [{ rule: jwt, issuer: 'me', outcome: 'refused', fault: 'f', text: 'token expired' }] });

    expect(lines.map((line) => line.split(/ {2,}/))).to.deep.include(['refused', 'foo/jwt jwtRules[1]', 'token expired']);
  });
});

describe('nearestText', () => {
  const NO_TOKEN = 'the request has no verified token';

  it('is undefined when the request was not denied because no ALLOW rule matched', () => {
    const decidedBy = { stage: 'authorization', reason: 'deny-rule', text: 'a DENY rule matched' } as const;

    expect(nearestText(explanation({ decidedBy }))).to.equal(undefined);
  });

  it('skips DENY and dry-run rules', () => {
    const rules = [rule('foo/deny', { action: 'DENY' }), rule('foo/dry', { dryRun: true }), rule('foo/a')];

    expect(nearestText(explanation({ rules }))).to.match(/^AuthorizationPolicy foo\/a /);
  });

  it('joins the best miss of each part, and names the need for a token once', () => {
    const misses = [
      { path: 'from[0].source.requestPrincipals', saw: 'absent', wanted: 'any value', hint: NO_TOKEN },
      { path: 'from[1].source.ipBlocks', saw: '10.0.0.1', wanted: 'one of 10.1.0.0/16' },
      { path: 'when[0] request.auth.claims[a]', saw: 'absent', wanted: 'one of b', hint: NO_TOKEN },
      { path: 'to[0].operation.methods', saw: 'GET', wanted: 'one of PUT', hint: 'another method' },
    ];

    expect(nearestText(explanation({ rules: [rule('foo/a', { misses })] }))).to.equal(
      `AuthorizationPolicy foo/a rules[0]: ${NO_TOKEN}; and to[0].operation.methods: another method`,
    );
  });
});

describe('explanationValue', () => {
  it('adds the place of every rule that is known', () => {
    const dryRun = [{ action: 'DENY', outcome: 'deny', rule: rule('foo/d').rule }] as const;
    const locate: ShownExplanation['locate'] = ({ policy }) => (policy === 'foo/a' ? 'p.yaml:7' : undefined);
    const value = explanationValue({
      workload: 'foo/web',
      request: 'GET /a',
      explanation: explanation({ dryRun }),
      notApplied: [],
      locate,
    });

    const { rules, dryRun: outcomes } = value as { readonly rules: readonly RuleExplanation[]; readonly dryRun: unknown };
    expect(rules[0]?.rule).to.deep.equal({ kind: 'AuthorizationPolicy', policy: 'foo/a', rule: 0, where: 'p.yaml:7' });
    expect(outcomes).to.deep.equal(dryRun);
  });
});
