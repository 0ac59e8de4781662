import { expect } from 'chai';
import { type Comparison, comparePrograms } from '../../../src/analysis/compare-programs.ts';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';
import type { Program } from '../../../src/policy/model/program.ts';

function policy(kind: string, name: string, spec: object): Policy {
  const { value, findings } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace: 'foo' }, spec });
  if (value === undefined) throw new Error(JSON.stringify(findings));
  return value;
}

function program(specs: { readonly allow?: object; readonly deny?: object; readonly jwt?: object; readonly audit?: object }): Program {
  const { allow, deny, jwt, audit } = specs;
  const policies = [
    ...(jwt === undefined ? [] : [policy('RequestAuthentication', 'jwt', jwt)]),
    ...(allow === undefined ? [] : [policy('AuthorizationPolicy', 'allow', allow)]),
    ...(deny === undefined ? [] : [policy('AuthorizationPolicy', 'deny', { action: 'DENY', ...deny })]),
    ...(audit === undefined ? [] : [policy('AuthorizationPolicy', 'audit', { action: 'AUDIT', ...audit })]),
  ];
  return lowerPolicies({ namespace: 'foo', policies, mesh: DEFAULT_MESH_CONFIG, keySetId: ({ issuer }) => issuer ?? '' }).program;
}

function compare(before: Program, after: Program, protocol: 'http' | 'tcp' = 'http', isOver = (): boolean => false): Comparison {
  return comparePrograms(before, after, { protocol, isOver, confirm: () => true });
}

function kinds({ widened, narrowed }: Comparison): readonly string[] {
  return [widened.kind, narrowed.kind];
}

const to = (...paths: readonly string[]): object => ({ to: [{ operation: { paths } }] });
const jwtRule = (issuer: string, more: object = {}): object => ({ issuer, jwksUri: `https://${issuer}/keys`, ...more });

describe('comparePrograms', () => {
  it('proves that a rewrite lets in the same requests', () => {
    const before = program({ allow: { rules: [{ to: [{ operation: { methods: ['GET', 'POST'], paths: ['/a*', '/b'] } }] }] } });
    const after = program({
      allow: {
        rules: [
          { to: [{ operation: { methods: ['POST'], paths: ['/b', '/a*', '/ab'] } }] },
          { to: [{ operation: { methods: ['GET'], paths: ['/b'] } }] },
          { to: [{ operation: { methods: ['GET'], paths: ['/a*'] } }] },
        ],
      },
    });

    expect(kinds(compare(before, after))).to.deep.equal(['none', 'none']);
  });

  it('finds a shortest path that only the second program lets in', () => {
    const { widened, narrowed } = compare(program({ allow: { rules: [to('/team/*')] } }), program({ allow: { rules: [to('/team*')] } }));

    expect(narrowed).to.deep.equal({ kind: 'none' });
    expect(widened.kind === 'found' && widened.witness.request.path).to.equal('/team');
  });

  it('finds no difference in paths that normalization removes', () => {
    const before = program({ allow: { rules: [to('/a')] } });
    const after = program({ allow: { rules: [to('/a', '/b/../c', '/x/.', '/%41')] } });

    expect(kinds(compare(before, after))).to.deep.equal(['none', 'none']);
  });

  it('distinguishes an ALLOW policy without rules from none', () => {
    const [open, closed] = [program({}), program({ allow: {} })];

    expect(kinds(compare(closed, open))).to.deep.equal(['found', 'none']);
    expect(kinds(compare(open, closed))).to.deep.equal(['none', 'found']);
  });

  it('leaves AUDIT and dry-run policies out', () => {
    const dryRun = parsePolicy({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'dry', namespace: 'foo', annotations: { 'istio.io/dry-run': 'true' } },
      spec: { action: 'DENY', rules: [{}] },
    }).value;
    const before = program({ allow: { rules: [to('/a')] } });
    const after = program({ allow: { rules: [to('/a')] }, audit: { rules: [{}] } });
    const dry = lowerPolicies({
      namespace: 'foo',
      policies: [policy('AuthorizationPolicy', 'allow', { rules: [to('/a')] }), ...(dryRun === undefined ? [] : [dryRun])],
      mesh: DEFAULT_MESH_CONFIG,
      keySetId: () => '',
    }).program;

    expect(kinds(compare(before, after))).to.deep.equal(['none', 'none']);
    expect(dry.http.dryRunDeny.attached).to.equal(true);
    expect(kinds(compare(before, dry))).to.deep.equal(['none', 'none']);
  });

  it('looks at several instances of a header and at its absence', () => {
    const when = (values: object): object => ({ when: [{ key: 'request.headers[x-a]', ...values }] });
    const both = program({ allow: { rules: [{ when: ['1', '2'].map((value) => ({ key: 'request.headers[x-a]', values: [value] })) }] } });
    const neither = program({ allow: {} });
    const widened = compare(neither, both).widened;

    expect(widened.kind === 'found' && widened.witness.request.headers).to.deep.equal([
      ['x-a', '1'],
      ['x-a', '2'],
    ]);
    const absent = compare(neither, program({ allow: { rules: [when({ notValues: ['*'] })] } })).widened;
    expect(absent.kind === 'found' && absent.witness.request.headers).to.deep.equal([]);
    expect(kinds(compare(neither, program({ allow: { rules: [when({ values: ['a'], notValues: ['a*'] })] } })))).to.deep.equal([
      'none',
      'none',
    ]);
  });

  it('finds the one address between two blocks', () => {
    const source = (...ipBlocks: readonly string[]): object => ({ from: [{ source: { ipBlocks } }] });
    const { widened, narrowed } = compare(
      program({ allow: { rules: [source('10.0.0.0/31', '10.0.0.3/32')] } }),
      program({ allow: { rules: [source('10.0.0.0/30')] } }),
    );

    expect(narrowed.kind).to.equal('none');
    expect(widened.kind === 'found' && widened.witness.request.sourceIp).to.equal('10.0.0.2');
  });

  it('compares the rules for TCP by themselves', () => {
    const before = program({ deny: { rules: [{ to: [{ operation: { ports: ['80'], methods: ['GET'] } }] }] } });
    const after = program({ deny: { rules: [{ to: [{ operation: { ports: ['80'], methods: ['POST'] } }] }] } });

    expect(kinds(compare(before, after))).to.deep.equal(['found', 'found']);
    expect(kinds(compare(before, after, 'tcp'))).to.deep.equal(['none', 'none']);
    expect(kinds(compare(before, program({}), 'tcp'))).to.deep.equal(['found', 'none']);
  });

  it('reports that the time was not enough', () => {
    const { widened } = compare(program({ allow: {} }), program({ allow: { rules: [to('/a')] } }), 'http', () => true);

    expect(widened).to.deep.equal({ kind: 'undecided', reason: 'the time limit is reached' });
  });

  it('reports what it cannot decide', () => {
    const jwt = { jwtRules: [jwtRule('me', { fromHeaders: [{ name: 'host' }] })] };
    const { widened, narrowed } = compare(program({ jwt, allow: {} }), program({ jwt, allow: { rules: [to('/a')] } }));

    expect(widened.kind).to.equal('found');
    expect(narrowed).to.deep.equal({ kind: 'undecided', reason: 'a JWT rule reads or writes a pseudo header' });
  });

  it('decides nothing that no request can show', () => {
    const undecided = comparePrograms(program({ allow: {} }), program({ allow: { rules: [to('/a')] } }), {
      protocol: 'http',
      isOver: () => false,
      confirm: () => false,
    });

    expect(undecided.widened.kind).to.equal('undecided');
    expect(undecided.narrowed).to.deep.equal({ kind: 'none' });
  });
});

describe('comparePrograms with JWT rules', () => {
  const signedIn = { rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] };
  const of = (...jwtRules: readonly object[]): Program => program({ jwt: { jwtRules }, allow: signedIn });

  it('sees that another issuer lets in more', () => {
    const { widened, narrowed } = compare(of(jwtRule('one')), of(jwtRule('one'), jwtRule('two')));

    expect(narrowed).to.deep.equal({ kind: 'none' });
    expect(widened.kind === 'found' && widened.witness.tokens.map(({ claims }) => claims)).to.deep.equal([{ iss: 'two', sub: 'x' }]);
  });

  it('sees that a smaller list of audiences refuses more', () => {
    const [all, wide, narrow] = [
      of(jwtRule('one')),
      of(jwtRule('one', { audiences: ['a', 'b'] })),
      of(jwtRule('one', { audiences: ['a'] })),
    ];

    expect(compare(wide, narrow).widened).to.deep.equal({ kind: 'none' });
    expect(compare(all, wide).widened).to.deep.equal({ kind: 'none' });
    expect(compare(wide, narrow).narrowed.kind).to.equal('found');
  });

  it('reads nested claims, arrays and audiences', () => {
    const rule = (key: string, ...values: readonly string[]): Program =>
      program({ jwt: { jwtRules: [jwtRule('one')] }, allow: { rules: [{ when: [{ key, values }] }] } });
    const nested = compare(rule('request.auth.claims[a][b]', 'x'), rule('request.auth.claims[a][b]', 'x', 'y')).widened;
    const audience = compare(rule('request.auth.audiences', 'x'), rule('request.auth.audiences', 'y')).widened;

    expect(nested.kind === 'found' && nested.witness.tokens[0]?.claims).to.deep.equal({ iss: 'one', a: { b: 'y' } });
    expect(audience.kind === 'found' && audience.witness.tokens[0]?.claims).to.deep.equal({ iss: 'one', aud: 'y' });
  });

  it('knows that only a claim can put a space at the start of a header', () => {
    const before = (jwt: object): Program => program({ jwt: { jwtRules: [jwt] }, allow: {} });
    const after = (jwt: object): Program =>
      program({ jwt: { jwtRules: [jwt] }, allow: { rules: [{ when: [{ key: 'request.headers[x-sub]', values: [' a'] }] }] } });
    const output = jwtRule('one', { outputClaimToHeaders: [{ claim: 'sub', header: 'x-sub' }] });

    expect(compare(before(jwtRule('one')), after(jwtRule('one'))).widened.kind).to.equal('none');
    expect(compare(before(output), after(output)).widened.kind).to.equal('found');
  });

  it('takes rules that look in a part of the same places as independent', () => {
    const both = jwtRule('one', { fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }], fromCookies: ['sess'] });
    const [wide, narrow] = [of(both, jwtRule('two')), of(jwtRule('two'))];

    expect(kinds(compare(narrow, wide))).to.deep.equal(['found', 'found']);
  });

  it('needs no token where a DENY rule requires its absence', () => {
    const deny = { rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }] }] };
    const jwt = { jwtRules: [jwtRule('one')] };
    const { widened, narrowed } = compare(program({ jwt, deny }), program({ jwt }));

    expect(widened.kind === 'found' && widened.witness.tokens).to.deep.equal([]);
    expect(narrowed).to.deep.equal({ kind: 'none' });
  });
});
