/* Findings about several policies: preflights, audiences; and targets that select no pods. */
import { expect } from 'chai';
import { ap, findingsOf, from, lint, ra, rules, type Spec } from './policies.ts';

const TOKEN = { from: [{ source: { requestPrincipals: ['*'] } }] };
const api = (operation: Spec = { paths: ['/api/*'] }): Spec => ({ ...TOKEN, to: [{ operation }] });
const DENIED = ['info SP_PREFLIGHT spec.rules[0]'];

describe('lint of CORS preflights', () => {
  it('reports denied preflights when paths or methods require a token', () => {
    expect(lint(ra(), rules(api()))).to.deep.equal(DENIED);
    expect(lint(ra(), rules(api({ methods: ['GET', 'POST'] })))).to.deep.equal(DENIED);
    expect(
      lint(ra(), rules({ to: [{ operation: { paths: ['/a'] } }], when: [{ key: 'request.auth.claims[g]', values: ['x'] }] })),
    ).to.deep.equal(DENIED);
  });

  it('reports denied preflights when OPTIONS is allowed only for another path or with a token', () => {
    expect(lint(ra(), rules(api(), { to: [{ operation: { paths: ['/healthz'] } }] }))).to.deep.equal(DENIED);
    expect(lint(ra(), rules(api({ paths: ['/a'], methods: ['GET'] }), api({ methods: ['OPTIONS'] })))).to.deep.equal(DENIED);
    expect(lint(ra(), rules(api(), { to: [{ operation: { notMethods: ['OPTIONS'] } }] }))).to.deep.equal(DENIED);
  });

  const FINE: readonly (readonly [name: string, policies: readonly ReturnType<typeof ap>[]])[] = [
    ['a rule for OPTIONS', [ra(), rules(api(), { to: [{ operation: { methods: ['OPTIONS'] } }] })]],
    ['a rule for OPTIONS on these paths', [ra(), rules(api(), { to: [{ operation: { methods: ['OPT*'], paths: ['/api/*'] } }] })]],
    [
      'a rule for OPTIONS in another policy',
      [ra(), rules(api()), ap({ rules: [{ to: [{ operation: { methods: ['OPTIONS'] } }] }] }, { name: 'cors' })],
    ],
    ['a rule for every request from a network', [ra(), rules(api(), { from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] })]],
    ['a policy that requires tokens without paths', [ra(), from({ requestPrincipals: ['*'] })]],
    ['tokens in a cookie, which need no preflight', [ra([{ fromCookies: ['session'] }]), rules(api())]],
    ['a dry run', [ra(), ap({ rules: [api()] }, { annotations: { 'istio.io/dry-run': 'true' } })]],
    ['DENY', [ra(), ap({ action: 'DENY', rules: [api()] })]],
  ];
  for (const [name, policies] of FINE) {
    it(`reports no denied preflights for ${name}`, () => {
      expect(lint(...policies).filter((text) => text.includes('SP_PREFLIGHT'))).to.deep.equal([]);
    });
  }
});

describe('lint of audiences', () => {
  const requirement = from({ requestPrincipals: ['*'] });
  const [open, a, b, ab] = [{}, { audiences: ['a'] }, { audiences: ['b'] }, { audiences: ['a', 'b'] }];

  it('warns when another rule accepts the same tokens for any audience', () => {
    expect(lint(ra([open, a]), requirement)).to.deep.equal(['SP_AUDIENCE spec.jwtRules[1].audiences']);
    expect(lint(ra([a]), ra([open], { namespace: 'istio-system' }), requirement)).to.deep.equal(['SP_AUDIENCE spec.jwtRules[0].audiences']);
  });

  it('reports an info when another rule accepts other audiences', () => {
    expect(lint(ra([a, b]), requirement)).to.deep.equal([0, 1].map((index) => `info SP_AUDIENCE spec.jwtRules[${index}].audiences`));
    expect(lint(ra([ab, a]), requirement)).to.deep.equal(['info SP_AUDIENCE spec.jwtRules[1].audiences']);
  });

  it('names the other policy', () => {
    const [finding] = findingsOf(ra([a]), ra([open], { name: 'mesh', namespace: 'istio-system' }), requirement);

    expect(finding?.message).to.include('spec.jwtRules[0] of istio-system/mesh accepts the same tokens for any audience');
  });

  it('reports nothing when tokens, keys or pods differ', () => {
    const other = (rule: Spec): readonly string[] => lint(ra([a, rule]), requirement);

    expect(other({ issuer: 'https://idp2' })).to.deep.equal([]);
    expect(other({ fromHeaders: [{ name: 'x-token' }] })).to.deep.equal([]);
    expect(other({ jwksUri: 'https://idp/other-keys' })).to.deep.equal([]);
    const pods = (app: string): Spec => ({ selector: { matchLabels: { app } } });
    expect(lint(ra([a], pods('a')), ra([open], pods('b')), requirement)).to.deep.equal([]);
  });
});

describe('lint of targets', () => {
  const target = (...targetRefs: readonly Spec[]): Spec => ({
    targetRefs,
    action: 'DENY',
    rules: [{ to: [{ operation: { ports: ['1'] } }] }],
  });
  const GATEWAY = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' };

  it('warns of each target that selects no pods', () => {
    const idle = [
      { kind: 'Service', name: 's' },
      { group: 'networking.istio.io', kind: 'ServiceEntry', name: 's' },
      { ...GATEWAY, kind: 'GatewayClass' },
    ];

    expect(lint(ap(target(GATEWAY, ...idle)))).to.deep.equal([1, 2, 3].map((index) => `SP_SELECTS_NOTHING spec.targetRefs[${index}].kind`));
  });

  it('accepts a Gateway', () => {
    expect(lint(ap(target(GATEWAY)))).to.deep.equal([]);
  });
});
