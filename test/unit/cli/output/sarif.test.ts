import { expect } from 'chai';
import { formatSarif } from '../../../../src/cli/output/sarif.ts';

interface Log {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
    readonly results: readonly {
      readonly ruleId: string;
      readonly ruleIndex: number;
      readonly level: string;
      readonly message: { readonly text: string };
      readonly locations: readonly {
        readonly physicalLocation: {
          readonly artifactLocation: { readonly uri: string };
          readonly region: { readonly startLine: number; readonly startColumn: number };
        };
      }[];
    }[];
  }[];
}

describe('formatSarif', () => {
  it('makes a rule of each code once and a result of each finding, at its place', () => {
    const finding = { line: 7, column: 3, object: 'AuthorizationPolicy foo/a', path: 'spec', message: 'wrong' } as const;
    const log = JSON.parse(
      formatSarif([
        { ...finding, file: './a b.yaml', severity: 'error', code: 'SP_VALUE', hint: 'mend it' },
        { ...finding, file: 'x/c.yaml', severity: 'warning', code: 'SP_PATH' },
        { ...finding, file: '/abs.yaml', severity: 'warning', code: 'SP_VALUE' },
      ]),
    ) as Log;

    const [run] = log.runs;
    expect([log.version, log.runs.length]).to.deep.equal(['2.1.0', 1]);
    expect(run?.tool.driver.rules.map(({ id }) => id)).to.deep.equal(['SP_PATH', 'SP_VALUE']);
    expect(run?.results.map(({ ruleId, ruleIndex, level }) => [ruleId, ruleIndex, level])).to.deep.equal([
      ['SP_VALUE', 1, 'error'],
      ['SP_PATH', 0, 'warning'],
      ['SP_VALUE', 1, 'warning'],
    ]);
    expect(run?.results[0]?.message.text).to.equal('AuthorizationPolicy foo/a: spec: wrong (mend it)');
    expect(run?.results.map(({ locations }) => locations[0]?.physicalLocation.artifactLocation.uri)).to.deep.equal([
      'a%20b.yaml',
      'x/c.yaml',
      'file:///abs.yaml',
    ]);
    expect(run?.results[0]?.locations[0]?.physicalLocation.region).to.deep.equal({ startLine: 7, startColumn: 3 });
  });

  it('is a log with one run when there is nothing to say', () => {
    const log = JSON.parse(formatSarif([])) as Log;

    expect(log.runs.map(({ results }) => results)).to.deep.equal([[]]);
  });
});
