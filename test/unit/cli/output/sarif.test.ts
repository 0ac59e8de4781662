/* Findings as SARIF: what code hosts need of it, and all of it as its schema says. */

import schema from '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json' with { type: 'json' };
import ajvDraft04 from 'ajv-draft-04';
import ajvFormats from 'ajv-formats';
import { expect } from 'chai';
import { formatSarif } from '../../../../src/cli/output/sarif.ts';
import { ERROR_CODES, type ErrorCode } from '../../../../src/errors.ts';

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

  for (const [name, findings] of [
    ['without findings', []],
    ['of every code and severity', Object.keys(ERROR_CODES) as ErrorCode[]],
  ] as const) {
    it(`keeps to the schema of SARIF 2.1.0 ${name}`, () => {
      const validate = ajvFormats.default(new ajvDraft04.default({ strict: false, allErrors: true, unicodeRegExp: false })).compile(schema);
      const severities = ['error', 'warning', 'info'] as const;
      const reports = findings.map((code, index) => ({
        file: 'a b/<ü>.yaml',
        line: 1,
        column: 1,
        severity: severities[index % severities.length] ?? 'error',
        code,
        object: index % 2 === 0 ? '' : 'AuthorizationPolicy foo/a',
        path: 'spec',
        message: 'wrong "so"\n',
      }));

      validate(JSON.parse(formatSarif(reports)));
      expect(validate.errors).to.equal(null);
    });
  }

  it('is a log with one run when there is nothing to say', () => {
    const log = JSON.parse(formatSarif([])) as Log;

    expect(log.runs.map(({ results }) => results)).to.deep.equal([[]]);
  });
});
