/* Validation against the CRD without an API server; test/integration/crds.test.ts compares with a real one. */
import { expect } from 'chai';
import { validateCrd } from '../../../../src/api/istio/validate-crd.ts';
import { admissionTextOf } from '../../../../src/api/istio/validation-finding.ts';

const rule = (members: object): unknown => ({ jwtRules: [members] });

const REJECTED: readonly (readonly [string, unknown, string, string])[] = [
  ['a missing member', { targetRef: { kind: 'Gateway' } }, 'spec.targetRef.name', 'Required value'],
  [
    'a wrong type',
    rule({ issuer: 5 }),
    'spec.jwtRules[0].issuer',
    'Invalid value: "integer": spec.jwtRules[0].issuer in body must be of type string: "integer"',
  ],
  ['an array instead of an object', [], 'spec', 'Invalid value: "array": spec in body must be of type object: "array"'],
  [
    'null in an array',
    { jwtRules: [null] },
    'spec.jwtRules[0]',
    'Invalid value: "null": spec.jwtRules[0] in body must be of type object: "null"',
  ],
  [
    'an empty string',
    rule({ audiences: ['a', ''] }),
    'spec.jwtRules[0].audiences[1]',
    'Invalid value: "": spec.jwtRules[0].audiences[1] in body should be at least 1 chars long',
  ],
  [
    'a string that is too long',
    { selector: { matchLabels: { a: 'x'.repeat(64) } } },
    'spec.selector.matchLabels[a]',
    'Too long: may not be more than 63 bytes',
  ],
  [
    'an array that is too long',
    rule({ spaceDelimitedClaims: Array.from({ length: 65 }, () => 'a') }),
    'spec.jwtRules[0].spaceDelimitedClaims',
    'Too many: 65: must have at most 64 items',
  ],
  [
    'a string that does not match its pattern',
    rule({ outputClaimToHeaders: [{ header: 'a b', claim: 'c' }] }),
    'spec.jwtRules[0].outputClaimToHeaders[0].header',
    'Invalid value: "a b": spec.jwtRules[0].outputClaimToHeaders[0].header in body should match \'^[-_A-Za-z0-9]+$\'',
  ],
  [
    'an unknown enum value',
    rule({ presence: 'X' }),
    'spec.jwtRules[0].presence',
    'Unsupported value: "X": supported values: "OPTIONAL", "REQUIRED"',
  ],
  [
    'a violated CEL rule',
    rule({ timeout: '0s' }),
    'spec.jwtRules[0].timeout',
    'Invalid value: "0s": must be a valid duration greater than 1ms',
  ],
  [
    'too many labels',
    { selector: { matchLabels: Object.fromEntries(Array.from({ length: 4097 }, (_, index) => [`k${index}`, 'v'])) } },
    'spec.selector.matchLabels',
    'Too many: 4097: must have at most 4096 items',
  ],
];

describe('validateCrd', () => {
  it('counts characters instead of UTF-16 units', () => {
    const named = (name: string): readonly unknown[] =>
      validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec: { targetRef: { kind: 'Gateway', name } } });

    expect(named('💥'.repeat(253))).to.deep.equal([]);
    expect(named('💥'.repeat(254))).to.have.length(1);
  });

  it('reports only the first violated limit of a string', () => {
    const spec = rule({ outputClaimToHeaders: [{ header: '', claim: 'c' }] });

    expect(validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec })).to.have.length(1);
  });

  it('rejects annotations and labels that are not strings, such as a YAML boolean', () => {
    const metadata = { annotations: { 'istio.io/dry-run': true, other: null }, labels: { a: 1 } };
    const findings = validateCrd('AuthorizationPolicy', { apiVersion: 'security.istio.io/v1', metadata, spec: {} });

    expect(findings.map(({ path, message }) => [path, message])).to.deep.equal([
      ['metadata.annotations[istio.io/dry-run]', 'expected a string, found the boolean true'],
      ['metadata.labels[a]', 'expected a string, found the number 1'],
    ]);
    expect(findings.map((finding) => [finding.path, admissionTextOf(finding)])).to.deep.equal([
      ['metadata.annotations[istio.io/dry-run]', 'json: cannot unmarshal bool into Go struct field ObjectMeta.annotations of type string'],
      ['metadata.labels[a]', 'json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string'],
    ]);
  });

  it('rejects a status that is not an object', () => {
    const [finding] = validateCrd('AuthorizationPolicy', { apiVersion: 'security.istio.io/v1', spec: {}, status: [] });

    expect(finding).to.include({ path: 'status', message: 'Invalid value: "array": status in body must be of type object: "array"' });
  });

  it('reports why CEL cannot evaluate a rule', () => {
    const spec = rule({ jwksUri: 'https://a:x', timeout: 'apple' });
    const messages = validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec }).map(({ message }) => message);

    expect(messages).to.have.members([
      'Invalid value: "string": URL parse error during conversion from string: parse "https://a:x": invalid port ":x" after host evaluating rule: url must have scheme http:// or https://',
      `Invalid value: "string": type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: must be a valid duration greater than 1ms`,
    ]);
  });

  for (const [what, spec, path, message] of REJECTED) {
    it(`rejects ${what} with path and reason`, () => {
      const [finding] = validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec });

      expect(finding).to.include({ stage: 'crd', severity: 'error', path, message });
    });
  }

  it('ignores members that are null, like the API server', () => {
    const object = {
      apiVersion: 'security.istio.io/v1beta1',
      spec: { selector: null, targetRefs: [], jwtRules: [{ issuer: null, jwks: null, jwksUri: 'https://a' }] },
    };

    expect(validateCrd('RequestAuthentication', object)).to.deep.equal([]);
    expect(validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec: null })).to.deep.equal([]);
  });

  it('rejects a value that is not an object', () => {
    expect(validateCrd('AuthorizationPolicy', 'x')).to.have.length(1);
  });
});
