import { expect } from 'chai';
import { acceptPolicy } from '../../../../src/api/istio/accept-policy.ts';
import { manifestFindings } from '../../../../src/api/istio/manifest-findings.ts';

function ap(spec: object, annotations: object = {}): object {
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'shop', annotations }, spec };
}

function ra(rule: object): object {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'p', namespace: 'shop' },
    spec: { jwtRules: [rule] },
  };
}

const rules = (...all: readonly object[]): object => ap({ rules: all });
const lines = (object: object): readonly string[] =>
  manifestFindings(object).map(
    ({ severity, path, message, hint }) => `${severity} ${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
  );

describe('manifestFindings', () => {
  for (const [name, object, line] of [
    [
      'a field of an operation',
      rules({ to: [{ operation: { methods: ['GET'], path: ['/public/*'] } }] }),
      'error spec.rules[0].to[0].operation.path: unknown field "spec.rules[0].to[0].operation.path"; without it the rule allows GET of every path from everyone (did you mean paths? The field has no effect)',
    ],
    [
      'a field of a source',
      rules({ from: [{ source: { ipBlock: ['10.0.0.0/8'], principals: ['*'] } }] }),
      'error spec.rules[0].from[0].source.ipBlock: unknown field "spec.rules[0].from[0].source.ipBlock"; without it the rule allows every method of every path from the sources that it names (did you mean ipBlocks? The field has no effect)',
    ],
    [
      'a field of a rule',
      rules({ to: [{ operation: { paths: ['/a'] } }], wehn: [] }),
      'error spec.rules[0].wehn: unknown field "spec.rules[0].wehn"; without it the rule allows every method of /a from everyone (did you mean when? The field has no effect)',
    ],
    [
      'a field of a DENY rule',
      ap({ action: 'DENY', rules: [{ when: [{ key: 'source.ip', values: ['10.0.0.1'], notvalue: ['x'] }] }] }),
      'error spec.rules[0].when[0].notvalue: unknown field "spec.rules[0].when[0].notvalue"; without it the rule denies every method of every path from everyone if its condition holds (did you mean notValues? The field has no effect)',
    ],
    [
      'a field of a JWT rule',
      ra({ issuer: 'a', audience: ['web'] }),
      'error spec.jwtRules[0].audience: unknown field "spec.jwtRules[0].audience" (did you mean audiences? The field has no effect)',
    ],
    [
      'a field of a selector',
      ap({ selector: { matchLabel: { app: 'web' } } }),
      'error spec.selector.matchLabel: unknown field "spec.selector.matchLabel" (did you mean matchLabels? The field has no effect)',
    ],
    ['a field of the spec', ap({ rule: [] }), 'error spec.rule: unknown field "spec.rule" (did you mean rules? The field has no effect)'],
  ] as const) {
    it(`refuses a misspelt ${name}`, () => {
      expect(lines(object).filter((text) => text.startsWith('error'))).to.deep.equal([line]);
    });
  }

  it('reports the faults of all stages together, each once and in plain words', () => {
    const found = lines({
      ...ap(
        {
          action: 'ALOW',
          selector: { matchLabels: { 'app*': 'web' } },
          rules: [
            { to: [{ operation: { methods: 'GET', ports: ['99999'] } }] },
            { when: [{ key: 'request.auth.claim[a]', values: ['x'] }] },
          ],
        },
        { 'istio.io/dry-run': 'maybe' },
      ),
    });

    expect(found.toSorted()).to.deep.equal([
      'error metadata.annotations[istio.io/dry-run]: shop/p has annotation istio.io/dry-run with invalid value (maybe): expected true or false',
      'error spec.action: "ALOW" is not one of ALLOW, DENY, AUDIT, CUSTOM',
      'error spec.rules[0].to[0].operation.methods: expected an array, found the string "GET"',
      'error spec.rules[0].to[0].operation.ports[0]: bad port (99999): expected a number from 0 to 65535',
      'error spec.rules[1].when[0].key: unknown attribute "request.auth.claim[a]" (did you mean request.auth.claims[a]?)',
      'error spec.selector.matchLabels[app*]: wildcard is not supported in selector: "app*=web"',
    ]);
  });

  it('does not repeat the words of the API server', () => {
    expect(lines(ra({ issuer: '', jwksUri: 'https://a' }))).to.deep.equal(['error spec.jwtRules[0].issuer: must not be empty']);
    expect(lines(ra({ issuer: 'a', jwksUri: 'https://a', jwks: '{"keys":[]}' }))).to.include(
      'error spec.jwtRules[0]: only one of jwks or jwksUri can be set',
    );
  });

  it('finds nothing in a valid policy', () => {
    expect(lines(rules({ to: [{ operation: { paths: ['/a'] } }] }))).to.deep.equal([]);
  });
});

describe('acceptPolicy of a manifest', () => {
  const good = rules({ to: [{ operation: { paths: ['/a'] } }] });
  const misspelt = rules({ to: [{ operation: { methods: ['GET'], path: ['/a'] } }] }, { to: [{ operation: { paths: ['/b'] } }] });

  it('keeps the last good version when a field is misspelt', () => {
    const before = acceptPolicy(undefined, good, 'manifest');
    const after = acceptPolicy(before, misspelt, 'manifest');

    expect([after.active, after.isNewest]).to.deep.equal([before.active, false]);
  });

  it('drops an ALLOW rule with a misspelt field when there is no good version', () => {
    const { active, isValid } = acceptPolicy(undefined, misspelt, 'manifest');

    expect([active?.spec, isValid]).to.deep.equal([{ action: 'ALLOW', rules: [{ to: [{ operation: { paths: ['/b'] } }] }] }, false]);
  });

  it('accepts an unknown field from a cluster, whose API server knows it', () => {
    expect(acceptPolicy(undefined, misspelt).isValid).to.equal(true);
  });
});
