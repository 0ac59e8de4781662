import { expect } from 'chai';
import type { PolicyResult } from '../../../src/reports/policy-results.ts';
import { isSameReport, MAX_RESULTS, reportContent } from '../../../src/reports/report.ts';

const NOW = Date.UTC(2026, 0, 1);
const result = (name: string, over: Partial<PolicyResult> = {}): PolicyResult => ({
  policy: `AuthorizationPolicy/${name}`,
  rule: 'SP_VALUE',
  category: 'Policy',
  result: 'warn',
  severity: 'medium',
  message: 'odd',
  resources: [{ kind: 'AuthorizationPolicy', namespace: 'foo', name }],
  ...over,
});

describe('content of a report', () => {
  it('does not exist without results', () => {
    expect(reportContent([], undefined, NOW)).to.equal(undefined);
  });

  it('does not depend on the order of the results, and has each once', () => {
    const [a, b, c] = [result('a'), result('b', { result: 'fail' }), result('c', { result: 'error' })];
    const one = reportContent([a, b, c, a], undefined, NOW);

    expect(one?.results.map(({ policy }) => policy)).to.deep.equal([c, b, a].map(({ policy }) => policy));
    expect(one?.summary).to.deep.equal({ pass: 0, fail: 1, warn: 1, error: 1, skip: 0 });
    expect(isSameReport(one, reportContent([c, a, b], undefined, NOW))).to.equal(true);
  });

  it('keeps the time at which a result was first found', () => {
    const before = reportContent([result('a'), result('b')], undefined, NOW);
    const after = reportContent([result('a'), result('b', { message: 'worse' })], before, NOW + 60_000);

    expect(after?.results.map(({ timestamp }) => timestamp.seconds - NOW / 1000)).to.deep.equal([0, 60]);
    expect(isSameReport(before, after)).to.equal(false);
    expect(isSameReport(before, reportContent([result('b'), result('a')], before, NOW + 60_000))).to.equal(true);
  });

  it('leaves out the least grave results beyond the limit, and counts them', () => {
    const many = Array.from({ length: 300 }, (_, at) => result(`w${at}`));
    const content = reportContent([...many, result('z', { result: 'error' })], undefined, NOW);

    expect(content?.results).to.have.length(MAX_RESULTS);
    expect(content?.results[0]?.policy).to.equal('AuthorizationPolicy/z');
    expect(content?.summary).to.include({ warn: 300, error: 1 });
    expect(content?.configuration.limits.maxResults).to.equal(MAX_RESULTS);
  });

  it('stays far below what etcd takes, even with the longest texts', () => {
    const name = 'n'.repeat(253);
    const worst = Array.from({ length: MAX_RESULTS }, (_, at) =>
      result(name, { message: `${at}`.padEnd(1024, '\u{1f600}'), resources: [{ kind: 'Deployment', namespace: 'n'.repeat(63), name }] }),
    );
    expect(Buffer.byteLength(JSON.stringify(reportContent(worst, undefined, NOW)))).to.be.below(1_000_000);
  });
});
