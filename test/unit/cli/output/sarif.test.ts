import schema from '@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json' with { type: 'json' };
import draft04 from 'ajv-draft-04';
import formats from 'ajv-formats';
import { expect } from 'chai';
import { formatSarif } from '../../../../src/cli/output/sarif.ts';

// Both packages are CommonJS: only for the compiler is the default export a member.
const Ajv = draft04 as unknown as typeof draft04.default;
const addFormats = formats as unknown as typeof formats.default;

/** The violations of the published schema of SARIF 2.1.0; undefined: none. */
function schemaErrors(text: string): unknown {
  // One of the schema's patterns is not a valid regular expression with the flag u.
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
  addFormats(ajv);
  return ajv.validate(schema, JSON.parse(text)) ? undefined : ajv.errors;
}

interface Log {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string; readonly help: { readonly text: string } }[] } };
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

describe('formatSarif', function () {
  // Compiling the schema takes seconds on a busy machine.
  this.timeout(120_000);

  it('has one rule per code and one result per finding, with its location', () => {
    const finding = { line: 7, column: 3, object: 'AuthorizationPolicy foo/a', path: 'spec', message: 'wrong' } as const;
    const log = JSON.parse(
      formatSarif([
        { ...finding, file: './a b.yaml', severity: 'error', code: 'SP_VALUE', hint: 'fix it' },
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
    expect(run?.results[0]?.message.text).to.equal('AuthorizationPolicy foo/a: spec: wrong (fix it)');
    expect(run?.results.map(({ locations }) => locations[0]?.physicalLocation.artifactLocation.uri)).to.deep.equal([
      'a%20b.yaml',
      'x/c.yaml',
      'file:///abs.yaml',
    ]);
    expect(run?.results[0]?.locations[0]?.physicalLocation.region).to.deep.equal({ startLine: 7, startColumn: 3 });
  });

  it('conforms to the published schema for any text in findings', () => {
    const place = { line: 1, column: 1, object: '', path: '' } as const;
    const text = formatSarif([
      { ...place, file: '<stdin>', severity: 'info', code: 'SP_PREFLIGHT', message: 'a "quote", ]]> and \u0000' },
      { ...place, file: 'a#b?c%d é.yaml', severity: 'error', code: 'SP_MANIFEST', message: '', object: 'A ns/x', path: 'spec' },
    ]);

    expect(schemaErrors(text)).to.equal(undefined);
    expect(schemaErrors(formatSarif([]))).to.equal(undefined);
    expect(schemaErrors(text.replace('"note"', '"info"'))).to.be.an('array');
    expect(schemaErrors(text.replace('"help": {', '"help": { "words": 1,'))).to.be.an('array');
  });

  it('describes each code', () => {
    const finding = { file: 'a', line: 1, column: 1, object: '', path: '', message: 'x', severity: 'error' } as const;
    const log = JSON.parse(formatSarif([{ ...finding, code: 'SP_VALUE' }])) as Log;

    expect(log.runs[0]?.tool.driver.rules[0]?.help.text).to.match(/^A value to match .* See docs\/reference\/lint\.md/);
  });

  it('is a log with one run without results when there are no findings', () => {
    const log = JSON.parse(formatSarif([])) as Log;

    expect(log.runs.map(({ results }) => results)).to.deep.equal([[]]);
  });
});
