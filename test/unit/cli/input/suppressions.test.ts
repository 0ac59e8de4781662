import { expect } from 'chai';
import type { LocatedFinding } from '../../../../src/cli/input/located-finding.ts';
import { applySuppressions, parseSuppression, suppressionsOf } from '../../../../src/cli/input/suppressions.ts';

function finding(code: LocatedFinding['code'], object: string, severity: LocatedFinding['severity'] = 'warning'): LocatedFinding {
  return { file: 'a.yaml', line: 1, column: 1, severity, code, object, path: '', message: 'm' };
}

const FINDINGS = [
  finding('SP_SELECTS_NOTHING', 'AuthorizationPolicy shop/a'),
  finding('SP_SELECTS_NOTHING', 'AuthorizationPolicy shop/b'),
  finding('SP_NEVER_MATCHES', 'AuthorizationPolicy shop/a'),
  finding('SP_SCHEMA', 'RequestAuthentication foo/a', 'error'),
];

function left(...flags: readonly string[]): readonly number[] {
  const suppressions = flags.reduce<ReturnType<typeof parseSuppression>>((before, flag) => parseSuppression(flag, before), []);
  return applySuppressions(FINDINGS, suppressions).findings.map((one) => FINDINGS.indexOf(one));
}

function annotated(value: unknown): Parameters<typeof suppressionsOf>[0] {
  const metadata = { name: 'a', namespace: 'shop', annotations: { 'galley.istio.io/analyze-suppress': value } };
  return [{ object: { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata }, origin: { file: 'a.yaml', line: 1 } }];
}

describe('--suppress', () => {
  for (const [flags, indexes] of [
    [[], [0, 1, 2, 3]],
    [['SP_SELECTS_NOTHING=AuthorizationPolicy/shop/a'], [1, 2, 3]],
    [['SP_SELECTS_NOTHING=AuthorizationPolicy/shop/*'], [2, 3]],
    [['SP_SELECTS_NOTHING=AuthorizationPolicy/*/*', 'SP_SCHEMA=*/foo/a'], [2]],
    [['*=AuthorizationPolicy/shop/a'], [1, 3]],
    [['SP_SELECTS_NOTHING=AuthorizationPolicy/sh.p/a'], [0, 1, 2, 3]],
    [['SP_SELECTS_NOTHING=RequestAuthentication/shop/a'], [0, 1, 2, 3]],
  ] as const) {
    it(`leaves the right findings with ${flags.join(' ') || 'no flag'}`, () => {
      expect(left(...flags)).to.deep.equal(indexes);
    });
  }

  for (const [flag, reason] of [
    ['SP_SELECTS_NOTHING', 'Expected CODE=kind/namespace/name'],
    ['SP_SELECTS_NOTHING=a', 'Expected CODE=kind/namespace/name'],
    ['SP_SELECT_NOTHING=AuthorizationPolicy/a/b', 'did you mean SP_SELECTS_NOTHING?'],
    ['IST0101=AuthorizationPolicy/a/b', 'Unknown code IST0101'],
  ] as const) {
    it(`rejects ${flag}`, () => {
      expect(() => parseSuppression(flag, [])).to.throw(reason);
    });
  }
});

describe('galley.istio.io/analyze-suppress', () => {
  for (const [value, indexes] of [
    ['SP_SELECTS_NOTHING', [1, 2, 3]],
    ['IST0101, SP_NEVER_MATCHES', [0, 1, 3]],
    ['*', [1, 3]],
    ['IST0101', [0, 1, 2, 3]],
    [7, [0, 1, 2, 3]],
  ] as const) {
    it(`suppresses what ${JSON.stringify(value)} names, on its object only`, () => {
      const { findings, suppressed } = applySuppressions(FINDINGS, suppressionsOf(annotated(value)));

      expect(findings.map((one) => FINDINGS.indexOf(one))).to.deep.equal(indexes);
      expect(suppressed).to.equal(FINDINGS.length - indexes.length);
    });
  }

  it('keeps errors with *', () => {
    const error = finding('SP_SCHEMA', 'AuthorizationPolicy shop/a', 'error');

    expect(applySuppressions([error], suppressionsOf(annotated('*'))).findings).to.deep.equal([error]);
  });
});
