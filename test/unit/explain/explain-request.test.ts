import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { Explanation } from '../../../src/explain/explanation.ts';
import type { RawRequest } from '../../../src/http/heads.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';

function policy(name: string, spec: object, annotations: Readonly<Record<string, string>> = {}, kind = 'AuthorizationPolicy'): Policy {
  const { value, findings } = parsePolicy({
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name, namespace: 'foo', annotations },
    spec,
  });
  if (value === undefined) throw new Error(JSON.stringify(findings));
  return value;
}

const mesh = {
  ...DEFAULT_MESH_CONFIG,
  extensionProviders: [{ name: 'ext', protocol: 'http', service: 'ext.foo.svc.cluster.local', port: 8000 }],
} as unknown as typeof DEFAULT_MESH_CONFIG;

function explain(policies: readonly Policy[], target: string, options: Parameters<typeof explainRequest>[3] = {}): Explanation {
  const { program } = lowerPolicies({ namespace: 'foo', policies, mesh, keySetId: () => 'none' });
  const connection = { sourceIp: '192.0.2.1', destinationIp: '', destinationPort: 80, sni: '', tls: false };
  const request: RawRequest = { version: '1.1', method: 'GET', target, headers: ['Host', 'a'], hasBody: false, connection };
  return explainRequest({ program, keySets: {} }, request, 0, options);
}

const paths = (...values: string[]): object => ({ to: [{ operation: { paths: values } }] });
const DENY = policy('deny', { action: 'DENY', rules: [paths('/no')] });
const ALLOW = policy('allow', { rules: [paths('/*')] });
const CUSTOM = policy('custom', { action: 'CUSTOM', provider: { name: 'ext' }, rules: [paths('/ask')] });
const UNKNOWN = policy('unknown', { action: 'CUSTOM', provider: { name: 'none' }, rules: [paths('/ask')] });
const NOTHING = policy('nothing', {});
const DEMANDED = policy('demanded', { jwtRules: [{ issuer: 'me', jwks: 'none', presence: 'REQUIRED' }] }, {}, 'RequestAuthentication');

describe('explainRequest', () => {
  const cases: readonly (readonly [
    name: string,
    policies: readonly Policy[],
    target: string,
    outcome: string,
    stage: string,
    text: string,
  ])[] = [
    ['no policy at all', [], '/', 'allow', 'authorization', 'no policy applies to the workload: it is open to everybody'],
    ['no ALLOW policy', [DENY], '/', 'allow', 'authorization', 'no ALLOW policy applies to the workload, and no DENY rule matched'],
    ['a DENY rule', [DENY, ALLOW], '/no', 'deny', 'authorization', 'a DENY rule matched'],
    ['an ALLOW rule', [DENY, ALLOW], '/yes', 'allow', 'authorization', 'an ALLOW rule matched'],
    [
      'an ALLOW policy without rules',
      [NOTHING],
      '/',
      'deny',
      'authorization',
      'an ALLOW policy without rules applies, which allows nothing',
    ],
    ['a path that is no path', [ALLOW], '*', 'reject', 'preparation', 'refused before any policy'],
    ['a provider that is not there', [UNKNOWN], '/ask', 'deny', 'custom', 'provider'],
  ];
  for (const [name, policies, target, outcome, stage, text] of cases) {
    it(`names what decided: ${name}`, () => {
      const { verdict, decidedBy } = explain(policies, target);

      expect([verdict.outcome, decidedBy.stage]).to.deep.equal([outcome, stage]);
      expect(decidedBy.text).to.include(text);
    });
  }

  it('marks ALLOW rules as not reached after a DENY rule matched', () => {
    const { rules } = explain([DENY, ALLOW], '/no');

    expect(rules.map(({ action, matched, reached }) => [action, matched, reached])).to.deep.equal([
      ['DENY', true, true],
      ['ALLOW', true, false],
    ]);
  });

  it('takes external authorizers to allow, and says so', () => {
    const { verdict, caveats } = explain([CUSTOM], '/ask');

    expect(verdict.outcome).to.equal('allow');
    expect(caveats).to.deep.equal(['provider ext was not asked; it is taken to allow']);
  });

  it('takes external authorizers to deny when told so', () => {
    const { verdict, decidedBy, rules } = explain([CUSTOM, ALLOW], '/ask', { authorizer: 'deny' });

    expect(verdict).to.deep.include({ outcome: 'deny', status: 403, details: 'ext_authz_denied' });
    expect(decidedBy).to.deep.include({ stage: 'custom', text: 'the external authorizer refused: ext_authz_denied' });
    expect(decidedBy.rule?.policy).to.equal('foo/custom');
    expect(rules.filter(({ reached }) => reached).map(({ action }) => action)).to.deep.equal(['CUSTOM']);
  });

  it('says of a demanded token that is not there where it was looked for', () => {
    const { verdict, authentication } = explain([DEMANDED], '/');

    expect(verdict).to.deep.include({ outcome: 'unauthenticated', status: 401, details: 'jwt_authn_access_denied{Jwt_is_missing}' });
    expect(authentication[0]).to.deep.include({
      outcome: 'refused',
      fault: 'Jwt is missing',
      text: 'no token in header authorization after "Bearer ", query parameter access_token, and presence is REQUIRED',
    });
  });

  it('tells of dry-run rules without letting them decide', () => {
    const dry = policy('dry', { action: 'DENY', rules: [paths('/x')] }, { 'istio.io/dry-run': 'true' });
    const { verdict, rules } = explain([dry], '/x');

    expect(verdict.outcome).to.equal('allow');
    expect(rules).to.have.length(1);
    expect(rules[0]).to.deep.include({ dryRun: true, matched: true, reached: true });
  });
});
