/* What the API server would say, without one; test/integration/crds.test.ts holds the same against a real one. */
import { expect } from 'chai';
import { validateCrd } from '../../../../src/api/istio/validate-crd.ts';

const rule = (members: object): unknown => ({ jwtRules: [members] });

const REFUSED: readonly (readonly [string, unknown, string, string])[] = [
  ['a missing member', { targetRef: { kind: 'Gateway' } }, 'spec.targetRef.name', 'Required value'],
  ['a wrong type', rule({ issuer: 5 }), 'spec.jwtRules[0].issuer', 'Invalid value: "number": must be of type string: "number"'],
  ['a list for an object', [], 'spec', 'Invalid value: "array": must be of type object: "array"'],
  ['null in a list', { jwtRules: [null] }, 'spec.jwtRules[0]', 'Invalid value: "null": must be of type object: "null"'],
  ['empty text', rule({ audiences: ['a', ''] }), 'spec.jwtRules[0].audiences[1]', 'Invalid value: "": should be at least 1 chars long'],
  [
    'long text',
    { selector: { matchLabels: { a: 'x'.repeat(64) } } },
    'spec.selector.matchLabels[a]',
    'Too long: may not be more than 63 bytes',
  ],
  [
    'a long list',
    rule({ spaceDelimitedClaims: Array.from({ length: 65 }, () => 'a') }),
    'spec.jwtRules[0].spaceDelimitedClaims',
    'Too many: 65: must have at most 64 items',
  ],
  [
    'text out of pattern',
    rule({ outputClaimToHeaders: [{ header: 'a b', claim: 'c' }] }),
    'spec.jwtRules[0].outputClaimToHeaders[0].header',
    'Invalid value: "a b": should match \'^[-_A-Za-z0-9]+$\'',
  ],
  [
    'an unknown choice',
    rule({ presence: 'X' }),
    'spec.jwtRules[0].presence',
    'Unsupported value: "X": supported values: "OPTIONAL", "REQUIRED"',
  ],
  ['a broken rule', rule({ timeout: '0s' }), 'spec.jwtRules[0].timeout', 'Invalid value: "0s": must be a valid duration greater than 1ms'],
  [
    'too many labels',
    { selector: { matchLabels: Object.fromEntries(Array.from({ length: 4097 }, (_, index) => [`k${index}`, 'v'])) } },
    'spec.selector.matchLabels',
    'Invalid value: object: must have at most 4096 items',
  ],
];

describe('validateCrd', () => {
  for (const [what, spec, path, message] of REFUSED) {
    it(`refuses ${what} with path and reason`, () => {
      const [finding] = validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec });

      expect(finding).to.include({ stage: 'crd', severity: 'error', path, message });
    });
  }

  it('passes over members that are null, as the API server does', () => {
    const object = {
      apiVersion: 'security.istio.io/v1beta1',
      spec: { selector: null, targetRefs: [], jwtRules: [{ issuer: null, jwks: null, jwksUri: 'https://a' }] },
    };

    expect(validateCrd('RequestAuthentication', object)).to.deep.equal([]);
    expect(validateCrd('RequestAuthentication', { apiVersion: 'security.istio.io/v1', spec: null })).to.deep.equal([]);
  });

  it('refuses what is no object', () => {
    expect(validateCrd('AuthorizationPolicy', 'x')).to.have.length(1);
  });
});
