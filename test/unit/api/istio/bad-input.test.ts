/* Arbitrary JSON produces findings, never an exception, and in time proportional to its size. */
import { expect } from 'chai';
import { admissionError } from '../../../../src/api/istio/admission-error.ts';
import { parsePolicy } from '../../../../src/api/istio/parse-policy.ts';
import { validatePolicy } from '../../../../src/api/istio/validate-policy.ts';
import { lintPolicies } from '../../../../src/lint/lint-policies.ts';
import { createRandom, type Random } from '../../../fuzz/random.ts';
import { SEED } from '../../../support/seed.ts';

const MANY = 20_000;
const NAMES =
  'spec metadata name namespace labels annotations status rules from to when source operation key values paths hosts ipBlocks ports selector matchLabels targetRefs targetRef action provider jwtRules issuer jwks jwksUri timeout fromHeaders outputClaimToHeaders header claim __proto__ constructor toString x'.split(
    ' ',
  );
const LEAVES: readonly unknown[] = [null, true, 0, -0, 1.5, 1e300, '', '*', '\ud800', '\udfff\ud83d', '{"keys":[null]}', '::', '/{*}', 'x'];

function checkAll(object: unknown): readonly { readonly severity: string }[] {
  const findings = validatePolicy(object);
  admissionError('AuthorizationPolicy', 'ns', 'p', findings);
  const { value } = parsePolicy(object);
  if (value !== undefined) lintPolicies([value, value], { rootNamespace: 'root', pathNormalization: 'DECODE_AND_MERGE_SLASHES' });
  return findings;
}

function object(spec: unknown, kind = 'AuthorizationPolicy'): Record<string, unknown> {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { name: 'p', namespace: 'ns' }, spec };
}

/** Parsed from JSON, where `__proto__` is an ordinary member. */
function nested(depth: number, open: string, close: string): unknown {
  return JSON.parse(`${open.repeat(depth)}1${close.repeat(depth)}`) as unknown;
}

function garbage(random: Random, depth: number): unknown {
  if (depth === 0 || random.next() < 0.2) return random.pick(LEAVES);
  const items = Array.from({ length: random.below(4) }, () => garbage(random, depth - 1));
  if (random.next() < 0.4) return items;
  return JSON.parse(`{${items.map((item) => `${JSON.stringify(random.pick(NAMES))}:${JSON.stringify(item)}`).join(',')}}`) as unknown;
}

describe('validation of arbitrary input', () => {
  const NESTED: readonly (readonly [string, unknown])[] = [
    ['arrays in a spec', object(nested(50_000, '[', ']'))],
    ['rules in rules', object(nested(50_000, '{"rules":', '}'))],
    ['an unknown field', object({ x: nested(50_000, '[', ']') })],
    ['a condition', object({ rules: [{ when: nested(50_000, '{"a":', '}') }] })],
    ['labels', { ...object({}), metadata: { name: 'p', labels: nested(50_000, '{"a":', '}') } }],
    ['a name', { ...object({}), metadata: { name: nested(50_000, '[', ']') } }],
    ['a status', { ...object({}), status: nested(50_000, '{"a":', '}') }],
    ['a key set', object({ jwtRules: [{ issuer: 'a', jwks: '['.repeat(200_000) }] }, 'RequestAuthentication')],
  ];
  for (const [what, policy] of NESTED) {
    it(`survives unbounded nesting of ${what}`, () => {
      expect(checkAll(policy)).to.be.an('array');
    });
  }

  it('handles members that are named like prototype properties', () => {
    const spec = JSON.parse(
      '{"__proto__":{"action":"DENY"},"selector":{"matchLabels":{"__proto__":"a","constructor":"b"}},"rules":[{"__proto__":[]}]}',
    ) as unknown;

    expect(parsePolicy(object(spec)).value?.spec).to.have.property('action', 'ALLOW');
    expect(checkAll(object(spec)).filter(({ severity }) => severity === 'error')).to.deep.equal([]);
  });

  it('never throws on random input', () => {
    const random = createRandom(SEED);
    for (let count = 0; count < 200; count += 1) {
      const spec = garbage(random, 8);
      for (const kind of ['AuthorizationPolicy', 'RequestAuthentication']) {
        const inputs = [spec, object(spec, kind), { ...object({}, kind), metadata: spec }];
        for (const input of inputs) expect(() => checkAll(input), JSON.stringify(input)).not.to.throw();
      }
    }
  });

  const HUGE: readonly (readonly [string, (item: number) => unknown])[] = [
    ['invalid addresses', (item) => ({ rules: [{ from: [{ source: { ipBlocks: Array.from({ length: item }, (_, at) => `x${at}`) } }] }] })],
    [
      'numbers instead of strings',
      (item) => ({ rules: [{ to: [{ operation: { paths: Array.from({ length: item }, (_, at) => at) } }] }] }),
    ],
    ['equal rules', (item) => ({ rules: Array.from({ length: item }, () => ({})) })],
    ['unknown keys', (item) => ({ rules: [{ when: Array.from({ length: item }, (_, at) => ({ key: `x${at}`, values: ['a'] })) }] })],
    ['labels', (item) => ({ selector: { matchLabels: Object.fromEntries(Array.from({ length: item }, (_, at) => [`k${at}`, '*'])) } })],
    ['unknown fields', (item) => Object.fromEntries(Array.from({ length: item }, (_, at) => [`k${at}`, 1]))],
  ];
  for (const [what, make] of HUGE) {
    it(`takes linear time for ${what}`, () => {
      // Quadratic work on 20,000 items would take 400 million steps and exceed the timeout.
      expect(checkAll(object(make(MANY)))).to.not.equal(undefined);
    }).timeout(120_000);
  }
});
