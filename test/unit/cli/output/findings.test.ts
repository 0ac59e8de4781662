import { expect } from 'chai';
import { type LocatedFinding, sortFindings } from '../../../../src/cli/input/located-finding.ts';
import { formatFindingCount, formatFindingLine, formatFindingTable } from '../../../../src/cli/output/findings.ts';
import { Collected } from '../../../support/cli-context.ts';

const FINDING: LocatedFinding = {
  file: 'a.yaml',
  line: 3,
  column: 7,
  severity: 'error',
  code: 'SP_VALUE',
  object: 'AuthorizationPolicy foo/a',
  path: 'spec.rules[0]',
  message: 'invalid',
};

describe('formatFindingLine', () => {
  it('has place, severity, object, field, message, hint and code', () => {
    expect(formatFindingLine({ ...FINDING, hint: 'fix it' })).to.equal(
      'a.yaml:3:7: error: AuthorizationPolicy foo/a: spec.rules[0]: invalid (fix it) [SP_VALUE]',
    );
  });

  it('leaves out an empty object and field', () => {
    expect(formatFindingLine({ ...FINDING, object: '', path: '' })).to.equal('a.yaml:3:7: error: invalid [SP_VALUE]');
  });
});

describe('formatFindingTable', () => {
  it("is '' without findings", () => {
    expect(formatFindingTable([], new Collected())).to.equal('');
  });
});

describe('formatFindingCount', () => {
  const cases: readonly (readonly [severities: readonly LocatedFinding['severity'][], text: string])[] = [
    [[], '0 errors, 0 warnings'],
    [['error', 'warning', 'warning'], '1 error, 2 warnings'],
    [['info', 'info'], '0 errors, 0 warnings, 2 info'],
  ];
  for (const [severities, text] of cases) {
    it(`is "${text}" for ${severities.length === 0 ? 'no findings' : severities.join(', ')}`, () => {
      const findings = severities.map((severity) => ({ ...FINDING, severity }));

      expect(formatFindingCount(findings, new Collected())).to.equal(text);
    });
  }
});

describe('sortFindings', () => {
  it('sorts by file, line, column and path and drops duplicates', () => {
    const first = { ...FINDING, file: 'A.yaml', line: 9 };
    const second = { ...FINDING, column: 1 };
    const third = { ...FINDING, path: 'a' };
    const last = { ...FINDING, line: 10 };

    expect(sortFindings([last, third, { ...third }, second, first])).to.deep.equal([first, second, third, last]);
  });
});
