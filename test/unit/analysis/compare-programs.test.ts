import { expect } from 'chai';
import { type Comparison, comparePrograms } from '../../../src/analysis/compare-programs.ts';
import { createConstraintTable } from '../../../src/analysis/constraint.ts';
import { situationOf, tokenCases } from '../../../src/analysis/token-cases.ts';
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

  for (const [attribute, { fails, holds }] of Object.entries({
    requestPrincipals: { fails: { notRequestPrincipals: ['a/*'] }, holds: { requestPrincipals: ['*'] } },
    'another attribute': { fails: { notRequestPrincipals: ['a/*', 'b/*'] }, holds: { ipBlocks: ['10.0.0.0/8'] } },
    ipBlocks: { fails: { notIpBlocks: ['0.0.0.0/0', '::/0'] }, holds: { ipBlocks: ['10.0.0.0/8'] } },
  })) {
    it(`looks at the other sources of a rule when one fails by its negative list: ${attribute}`, () => {
      const jwt = { jwtRules: [jwtRule('a')] };
      const allow = { rules: [{ from: [{ source: fails }, { source: holds }] }] };
      const deny = { rules: [{ from: [{ source: { requestPrincipals: ['a/*'] } }] }] };
      const [before, after] = [program({ jwt, allow, deny }), program({ jwt, allow })];

      expect(kinds(compare(before, after))).to.deep.equal(['found', 'none']);
      expect(kinds(compare(after, before))).to.deep.equal(['none', 'found']);
    });
  }

  it('looks at the other rules when one fails by its negative list', () => {
    const jwt = { jwtRules: [jwtRule('a')] };
    const allow = { rules: [{ from: [{ source: { notRequestPrincipals: ['a/*'] } }] }, { to: [{ operation: { paths: ['/x'] } }] }] };
    const deny = { rules: [{ from: [{ source: { requestPrincipals: ['a/*'] } }] }] };

    expect(kinds(compare(program({ jwt, allow, deny }), program({ jwt, allow })))).to.deep.equal(['found', 'none']);
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
    const jwt = { jwtRules: [jwtRule('me', { spaceDelimitedClaims: ['sub'] })] };
    const { widened, narrowed } = compare(
      program({ jwt, allow: {} }),
      program({ jwt, allow: { rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }] } }),
    );

    expect(widened.kind).to.equal('found');
    expect(narrowed).to.deep.equal({
      kind: 'undecided',
      reason: 'a JWT rule splits the issuer, subject or audience at spaces, which policies read',
    });
    expect(kinds(compare(program({ jwt, allow: {} }), program({ jwt, allow: { rules: [to('/a')] } })))).to.deep.equal(['found', 'none']);
  });

  it('knows headers that no request can have', () => {
    const on = (header: string): object => ({ rules: [{ when: [{ key: `request.headers[${header}]`, values: ['*'] }] }] });
    const none = program({ allow: {} });

    expect(kinds(compare(none, program({ allow: on('x-envoy-internal') })))).to.deep.equal(['none', 'none']);
    expect(kinds(compare(none, program({ allow: on('x-internal') })))).to.deep.equal(['found', 'none']);
  });

  it('writes a value of a pseudo header where the request has it', () => {
    const allow = {
      rules: [
        {
          when: [
            { key: 'request.headers[:path]', values: ['/a?b=*'] },
            { key: 'request.headers[:method]', values: ['PUT'] },
          ],
        },
      ],
    };
    const { widened } = compare(program({ allow: {} }), program({ allow }));

    expect(widened.kind === 'found' && widened.witness.request).to.include({ method: 'PUT', path: '/a?b=' });
  });

  for (const [pseudo, { values, operation }] of Object.entries({
    ':path': { values: ['/a?b', '/c'], operation: { notPaths: ['/a', '/c'] } },
    ':method': { values: ['PUT'], operation: { notMethods: ['PUT'] } },
    ':authority': { values: ['a.b'], operation: { notHosts: ['A.B'] } },
  })) {
    it(`solves ${pseudo} together with the attribute that it repeats`, () => {
      const allow = { rules: [{ to: [{ operation }], when: [{ key: `request.headers[${pseudo}]`, values }] }] };

      expect(kinds(compare(program({ allow: {} }), program({ allow })))).to.deep.equal(['none', 'none']);
    });
  }

  it('knows that a client sends no fragment and no space in a query', () => {
    const ending = (suffix: string): object => ({ rules: [{ when: [{ key: 'request.headers[:path]', values: [`*${suffix}`] }] }] });
    const kindOf = (suffix: string): string => compare(program({ allow: {} }), program({ allow: ending(suffix) })).widened.kind;

    expect(['?a', '?a#', '?a b', '?%20'].map(kindOf)).to.deep.equal(['found', 'none', 'none', 'found']);
  });

  it('knows that HTTP/2 has any method', () => {
    const { widened } = compare(program({ allow: {} }), program({ allow: { rules: [{ to: [{ operation: { methods: ['FOO'] } }] }] } }));

    expect(widened.kind === 'found' && widened.witness.request.method).to.equal('FOO');
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

  it('knows that over HTTP/2 a header may start with a space', () => {
    const before = (jwt: object): Program => program({ jwt: { jwtRules: [jwt] }, allow: {} });
    const after = (jwt: object): Program =>
      program({ jwt: { jwtRules: [jwt] }, allow: { rules: [{ when: [{ key: 'request.headers[x-sub]', values: [' a'] }] }] } });
    const output = jwtRule('one', { outputClaimToHeaders: [{ claim: 'sub', header: 'x-sub' }] });

    expect(compare(before(jwtRule('one')), after(jwtRule('one'))).widened.kind).to.equal('found');
    expect(compare(before(output), after(output)).widened.kind).to.equal('found');
  });

  it('takes rules that look in a part of the same places as independent', () => {
    const both = jwtRule('one', { fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }], fromCookies: ['sess'] });
    const [wide, narrow] = [of(both, jwtRule('two')), of(jwtRule('two'))];

    expect(kinds(compare(narrow, wide))).to.deep.equal(['found', 'found']);
  });

  const when = (key: string, values: object): object => ({ rules: [{ when: [{ key, ...values }] }] });
  const header = (name: string, values: object): object => when(`request.headers[${name}]`, values);
  const present = { values: ['*'] };
  const absent = { notValues: ['*'] };
  const withJwt = (rule: object, more: object): Program => program({ jwt: { jwtRules: [jwtRule('one', rule)] }, ...more });

  it('sees that a header with a token stays or is removed', () => {
    const allow = header('authorization', present);
    const [kept, removed] = [withJwt({ forwardOriginalToken: true }, { allow }), withJwt({}, { allow })];

    expect(kinds(compare(kept, removed))).to.deep.equal(['none', 'found']);
    expect(kinds(compare(removed, kept))).to.deep.equal(['found', 'none']);
  });

  it('sees that a header stays in which a rule looks for tokens and finds none', () => {
    const rule = {
      fromHeaders: [
        { name: 'authorization', prefix: 'Bearer ' },
        { name: 'x-tok', prefix: 'Tok ' },
      ],
    };
    const from = [{ source: { requestPrincipals: ['*'] } }];
    const narrow = { from, ...to('/a') };
    const wide = { from, when: [{ key: 'request.headers[x-tok]', values: ['other'] }] };
    const [before, after] = [[narrow], [narrow, wide]].map((rules) => withJwt(rule, { allow: { rules } })) as [Program, Program];

    expect(kinds(compare(before, after))).to.deep.equal(['found', 'none']);
  });

  it('sees that a header comes from another claim, or from the client', () => {
    const from = (claim: string): object => ({ outputClaimToHeaders: [{ claim, header: 'x-sub' }] });
    const allow = header('x-sub', { values: ['v'] });
    const [one, other, open] = [withJwt(from('a'), { allow }), withJwt(from('b'), { allow }), withJwt({}, { allow })];

    expect(kinds(compare(one, other))).to.deep.equal(['found', 'found']);
    expect(compare(one, open).widened).to.deep.include({ kind: 'found' });
  });

  it('sees that a claim is not split at spaces any more', () => {
    const allow = when('request.auth.claims[g]', { values: ['v'] });
    const [split, whole] = [withJwt({ spaceDelimitedClaims: ['g'] }, { allow }), withJwt({}, { allow })];

    expect(kinds(compare(split, whole))).to.deep.equal(['none', 'found']);
  });

  it('sees that a header cannot hold a claim, so that the request is refused', () => {
    const output = withJwt({ outputClaimToHeaders: [{ claim: 'g', header: 'x-g' }] }, {});

    expect(kinds(compare(output, withJwt({}, {})))).to.deep.equal(['found', 'none']);
  });

  for (const [name, rule] of [
    ['x-sub', { outputClaimToHeaders: [{ claim: 'a', header: 'x-sub' }] }],
    ['authorization', {}],
  ] as const) {
    it(`distinguishes what CUSTOM and DENY rules find in ${name}`, () => {
      const custom = policy('AuthorizationPolicy', 'custom', {
        action: 'CUSTOM',
        provider: { name: 'unknown' },
        ...header(name, absent),
      });
      const after = withJwt(rule, { deny: header(name, present) });
      const refused = lowerPolicies({ namespace: 'foo', policies: [custom], mesh: DEFAULT_MESH_CONFIG, keySetId: () => '' }).program;
      const both = { ...after, http: { ...after.http, custom: refused.http.custom } };

      expect(compare(withJwt(rule, { allow: {} }), both).widened.kind).to.equal('found');
    });
  }

  it('knows that an earlier JWT rule may set a header for one token before it refuses another one', () => {
    const earlier = (issuer: string): object =>
      jwtRule(issuer, {
        fromHeaders: [{ name: 'x-q' }],
        fromCookies: ['c'],
        outputPayloadToHeader: 'x-payload',
      });
    // JWT rules run in the order of their issuers.
    const from = [{ source: { requestPrincipals: ['one/*'] } }];
    const allow = { rules: [{ from, when: [{ key: 'request.headers[x-payload]', values: ['*'] }] }] };
    const of = (issuer: string): Program => program({ jwt: { jwtRules: [earlier(issuer), jwtRule('one')] }, allow });

    const sameToken = tokenCases(situationOf([of('a'), of('b')]), createConstraintTable()).find(
      ({ accepting: [first] }) => first?.every(({ issuer }) => issuer === 'one') === true && first.length === 2,
    );
    const keys = sameToken?.seen.map((view) => (view === 'refused' ? view : view.keyOf('x-payload')));

    expect(keys).to.deep.equal(['set 0 x-payload', 'set 1 x-payload']);
    expect(kinds(compare(of('a'), of('b')))).to.deep.equal(['found', 'found']);
  });

  it('proves that a header which only a token may set is absent without one', () => {
    const rule = { outputClaimToHeaders: [{ claim: 'a', header: 'x-sub' }] };
    const allow = {
      rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }], when: [{ key: 'request.headers[x-sub]', values: ['*'] }] }],
    };
    const after = withJwt(rule, { allow });
    const { widened } = compare(withJwt(rule, { allow: {} }), after);

    // A token without subject has no principal, and may set the header.
    expect(widened.kind === 'found' && widened.witness.tokens).to.have.lengthOf(1);
    expect(compare(withJwt(rule, { allow: {} }), withJwt(rule, { allow: header('x_sub', present) })).widened.kind).to.equal('none');
  });

  it('finds an escape in a query that a JWT rule decodes when it removes a token', () => {
    const allow = header(':path', { values: ['/p?a= b'] });

    expect(compare(withJwt({}, { allow: {} }), withJwt({}, { allow })).widened.kind).to.equal('found');
    expect(
      compare(withJwt({ forwardOriginalToken: true }, { allow: {} }), withJwt({ forwardOriginalToken: true }, { allow })).widened,
    ).to.deep.equal({ kind: 'none' });
  });

  it('proves that a JWT rule which takes its token from Host lets in nothing without one', () => {
    const rule = { fromHeaders: [{ name: 'host' }] };
    const allow = { rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }], to: [{ operation: { methods: ['GET'] } }] }] };

    expect(kinds(compare(withJwt(rule, { allow: {} }), withJwt(rule, { allow })))).to.deep.equal(['none', 'none']);
  });

  it('needs no token where a DENY rule requires its absence', () => {
    const deny = { rules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }] }] };
    const jwt = { jwtRules: [jwtRule('one')] };
    const { widened, narrowed } = compare(program({ jwt, deny }), program({ jwt }));

    expect(widened.kind === 'found' && widened.witness.tokens).to.deep.equal([]);
    expect(narrowed).to.deep.equal({ kind: 'none' });
  });
});
