import { expect } from 'chai';
import { listedFindings } from '../../../../src/cli/input/located-finding.ts';
import type { ErrorCode, Finding, Severity } from '../../../../src/errors.ts';

const findings = (code: ErrorCode, count: number, severity: Severity = 'warning'): readonly Finding[] =>
  Array.from({ length: count }, (_, at) => ({ code, severity, path: `spec.rules[${at}]`, message: `${at}`, hint: 'h' }));

describe('listedFindings', () => {
  it('lists all of a few hundred with different codes', () => {
    const all = [...findings('SP_VALUE', 200), ...findings('SP_WHEN', 200)];

    expect(listedFindings(all)).to.deep.equal(all);
  });

  it('says how many of one code are not listed, with the worst severity of those', () => {
    const all = [...findings('SP_VALUE', 5000), ...findings('SP_VALUE', 1, 'error'), ...findings('SP_WHEN', 1)];
    const listed = listedFindings(all);

    expect(listed).to.have.length(202);
    expect(listed.slice(199)).to.deep.equal([
      all[199],
      {
        code: 'SP_VALUE',
        severity: 'error',
        path: '',
        message: '4801 more findings with this code about this object are not listed',
      },
      all[5001],
    ]);
  });
});
