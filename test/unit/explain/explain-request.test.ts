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
const REQUIRED = policy('required', { jwtRules: [{ issuer: 'me', jwks: 'none', presence: 'REQUIRED' }] }, {}, 'RequestAuthentication');

describe('explainRequest', () => {
  const cases: readonly (readonly [
    name: string,
    policies: readonly Policy[],
    target: string,
    outcome: string,
    stage: string,
    text: string,
  ])[] = [
    ['no policy', [], '/', 'allow', 'authorization', 'no policy applies to the workload: every request is allowed'],
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
    ['an invalid path', [ALLOW], '*', 'reject', 'preparation', 'rejected before any policy was evaluated'],
    ['an unknown provider', [UNKNOWN], '/ask', 'deny', 'custom', 'provider'],
  ];
  for (const [name, policies, target, outcome, stage, text] of cases) {
    it(`reports what decided: ${name}`, () => {
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

  it('assumes that external authorizers allow, with a caveat', () => {
    const { verdict, caveats } = explain([CUSTOM], '/ask');

    expect(verdict.outcome).to.equal('allow');
    expect(caveats).to.deep.equal(['provider ext was not called; its response is assumed to be allow']);
  });

  it('assumes that external authorizers deny when the option says so', () => {
    const { verdict, decidedBy, rules } = explain([CUSTOM, ALLOW], '/ask', { authorizer: 'deny' });

    expect(verdict).to.deep.include({ outcome: 'deny', status: 403, details: 'ext_authz_denied' });
    expect(decidedBy).to.deep.include({ stage: 'custom', text: 'the external authorizer denied the request: ext_authz_denied' });
    expect(decidedBy.rule?.policy).to.equal('foo/custom');
    expect(rules.filter(({ reached }) => reached).map(({ action }) => action)).to.deep.equal(['CUSTOM']);
  });

  it('reports where it looked for a required token that is missing', () => {
    const { verdict, authentication } = explain([REQUIRED], '/');

    expect(verdict).to.deep.include({ outcome: 'unauthenticated', status: 401, details: 'jwt_authn_access_denied{Jwt_is_missing}' });
    expect(authentication[0]).to.deep.include({
      outcome: 'refused',
      fault: 'Jwt is missing',
      text: 'no token in header authorization after "Bearer ", query parameter access_token, and presence is REQUIRED',
    });
  });

  it('reports dry-run rules, which never decide', () => {
    const dry = policy('dry', { action: 'DENY', rules: [paths('/x')] }, { 'istio.io/dry-run': 'true' });
    const { verdict, rules } = explain([dry], '/x');

    expect(verdict.outcome).to.equal('allow');
    expect(rules).to.have.length(1);
    expect(rules[0]).to.deep.include({ dryRun: true, matched: true, reached: true });
  });
});
