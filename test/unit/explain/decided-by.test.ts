import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { explainRequest } from '../../../src/explain/explain-request.ts';
import type { DecidedBy, RuleRef } from '../../../src/explain/explanation.ts';
import { createTestKey } from '../../../src/explain/test-key.ts';
import { bearer, enforce, get, ISSUER, jwtPolicy, NOW, paths, policy, type Request } from './support.ts';

const key = createTestKey();
const rule = (name: string, index: number, kind: RuleRef['kind'] = 'AuthorizationPolicy'): RuleRef => ({
  kind,
  policy: `foo/${name}`,
  rule: index,
});

function decided(policies: readonly Policy[], request: Request = get('/')): DecidedBy {
  return explainRequest(enforce(policies, key), request, NOW).decidedBy;
}

const DENY = policy('deny', { action: 'DENY', rules: [paths('/x'), paths('/no')] });
const AUDIT = policy('audit', { action: 'AUDIT', rules: [{}] });

describe('decidedBy', () => {
  const cases: readonly (readonly [name: string, policies: readonly Policy[], request: Request, expected: DecidedBy])[] = [
    [
      'a DENY rule, by its position in the policy',
      [DENY],
      get('/no'),
      { stage: 'authorization', rule: rule('deny', 1), reason: 'deny-rule', text: 'a DENY rule matched' },
    ],
    [
      'an ALLOW rule',
      [policy('allow', { rules: [paths('/')] })],
      get('/'),
      { stage: 'authorization', rule: rule('allow', 0), reason: 'allow-rule', text: 'an ALLOW rule matched' },
    ],
    [
      'the only ALLOW rule, which did not match',
      [policy('allow', { rules: [paths('/a')] })],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-rule-matched', text: 'the only ALLOW rule did not match' },
    ],
    [
      'the number of ALLOW rules, none of which matched',
      [policy('allow', { rules: [paths('/a'), paths('/b')] }), policy('more', { rules: [paths('/c')] })],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-rule-matched', text: 'none of the 3 ALLOW rules matched' },
    ],
    [
      'an ALLOW policy without rules',
      [policy('nothing', {})],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-rule-matched', text: 'an ALLOW policy without rules applies, which allows nothing' },
    ],
    [
      'the absence of any policy',
      [],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-policy', text: 'no policy applies to the workload: every request is allowed' },
    ],
    [
      'the absence of an ALLOW policy when DENY rules did not match',
      [DENY],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-policy', text: 'no ALLOW policy applies to the workload, and no DENY rule matched' },
    ],
    [
      'the absence of an ALLOW policy next to an AUDIT policy',
      [AUDIT],
      get('/'),
      { stage: 'authorization', reason: 'no-allow-policy', text: 'no ALLOW policy applies to the workload' },
    ],
    [
      'the absence of an AuthorizationPolicy next to a RequestAuthentication',
      [jwtPolicy()],
      get('/'),
      {
        stage: 'authorization',
        reason: 'no-allow-policy',
        text: 'no AuthorizationPolicy applies to the workload: a token is verified if present, but none is required',
      },
    ],
    [
      'the JWT rule that refused the token',
      [jwtPolicy({ audiences: ['web'] })],
      get('/', bearer(key.sign({ iss: ISSUER, sub: 'bob', aud: 'app' }))),
      { stage: 'authentication', rule: rule('jwt', 0, 'RequestAuthentication'), text: 'aud is app, the policy requires web' },
    ],
    [
      'preparation, which rejected the path',
      [],
      get('*'),
      { stage: 'preparation', text: 'rejected before any policy was evaluated: http1.invalid_url' },
    ],
  ];
  for (const [name, policies, request, expected] of cases) {
    it(`names ${name}`, () => {
      expect(decided(policies, request)).to.deep.equal(expected);
    });
  }

  it('names an unknown provider with its reason and the matched CUSTOM rule', () => {
    const unknown = policy('unknown', { action: 'CUSTOM', provider: { name: 'none' }, rules: [paths('/ask')] });
    const { stage, rule: decisive, text } = decided([unknown], get('/ask'));

    expect([stage, decisive?.policy]).to.deep.equal(['custom', 'foo/unknown']);
    expect(text).to.match(/^provider none: /);
  });
});
