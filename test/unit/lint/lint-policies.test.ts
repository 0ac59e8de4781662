/* Every warning once, each with a similar policy that must not warn. */
import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { lintPolicies } from '../../../src/lint/lint-policies.ts';

type Spec = Readonly<Record<string, unknown>>;

function policy(kind: string, spec: Spec, { name = 'p', namespace = 'foo', annotations = {} } = {}): Policy {
  const { value } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace, annotations }, spec });
  if (value === undefined) throw new Error('the policy of the test is invalid');
  return value;
}
const ap = (spec: Spec, metadata?: { name?: string; namespace?: string; annotations?: Record<string, string> }): Policy =>
  policy('AuthorizationPolicy', spec, metadata);
const ra = (issuer: string, more: Spec = {}): Policy =>
  policy('RequestAuthentication', { jwtRules: [{ issuer, ...more }] }, { name: 'jwt' });

/** `CODE path` of every warning. */
function lint(...policies: readonly Policy[]): readonly string[] {
  return lintPolicies(policies, { rootNamespace: 'istio-system', pathNormalization: 'BASE' }).flatMap(({ findings }) =>
    findings.map(({ code, path }) => `${code} ${path}`),
  );
}

const ISSUER = 'https://idp';
const to = (operation: Spec): Policy => ap({ rules: [{ to: [{ operation }] }] });
const from = (source: Spec): Policy => ap({ rules: [{ from: [{ source }] }] });
const when = (key: string, values: readonly string[]): Policy => ap({ rules: [{ when: [{ key, values }] }] });

const VALUES: readonly (readonly [what: string, field: string, bad: string, good: string])[] = [
  ['a star in the middle of a path', 'paths', '/a/*b', '/a/{*}/b'],
  ['a path without its first slash', 'paths', 'admin', '/admin'],
  ['a prefix without its first slash', 'paths', 'admin*', '*admin'],
  ['a query in a path', 'paths', '/a?b=c', '/a'],
  ['a fragment in a path', 'paths', '/a#b', '/a*'],
  ['a dot segment', 'paths', '/a/./b', '/a/.b'],
  ['an escape that normalization decodes', 'paths', '/%41', '/%2F'],
  ['a dot segment in a prefix', 'paths', '/a/../b*', '/a/.w*'],
  ['a letter that clients percent-encode', 'paths', '/straße/*', '/stra%C3%9Fe/*'],
  ['a regular expression', 'paths', '^/api/v1/.*$', '/api/v1/*'],
  ['a regular expression that begins like a path', 'paths', '/api/.*', '/api.v1/*'],
  ['a choice of a regular expression', 'paths', '/(a|b)', '/a(b)'],
  ['a class of a regular expression', 'paths', '/items/[0-9]+', '/items/{*}'],
  ['an escape of a regular expression', 'paths', '/items/\\d+', '/items/d'],
  ['a whole URL', 'paths', 'http://shop.example/x', '/x'],
  ['a dot segment before two slashes, which BASE keeps', 'paths', '/./a//b', '/a//b'],
  ['an excluded path that no request has', 'notPaths', 'healthz', '/healthz'],
  ['a method in lower case', 'methods', 'get', 'GET'],
  ['an unknown method', 'methods', 'GETS', 'PROPFIND'],
  ['a star in the middle of a method', 'methods', '*E*', 'P*'],
  ['a host with a scheme', 'hosts', 'https://a.test', 'a.test'],
  ['a host with a path', 'hosts', 'a.test/b', 'a.test:*'],
  ['a star in the middle of a host', 'hosts', 'a.*.test', '*.a.test'],
];

describe('lint of operations', () => {
  for (const [what, field, bad, good] of VALUES) {
    it(`warns of ${what}: ${bad}, not ${good}`, () => {
      expect(lint(to({ [field]: [good, bad] }))).to.deep.equal([`SP_NEVER_MATCHES spec.rules[0].to[0].operation.${field}[1]`]);
    });
  }

  it('does not check normalization when the mode is not given', () => {
    expect(lintPolicies([to({ paths: ['/a/./b'] })], { rootNamespace: 'istio-system' })).to.deep.equal([]);
  });
});

const source = 'spec.rules[0].from[0].source';
const rules = (...list: readonly Spec[]): Policy => ap({ rules: list });
const A = { to: [{ operation: { paths: ['/a'] } }] };
const FROM = { from: [{ source: { ipBlocks: ['10.0.0.1'] } }] };
const REQUIRED = from({ requestPrincipals: ['*'] });
const labelled = (app: string, spec: Spec, name?: string): Policy =>
  ap({ selector: { matchLabels: { app } }, ...spec }, name === undefined ? {} : { name });

const WARNINGS: readonly (readonly [what: string, bad: readonly Policy[], expected: readonly string[], good: readonly Policy[]])[] = [
  [
    'principals with spiffe://, which also need a peer identity',
    [from({ principals: ['spiffe://td/ns/a/sa/b'] })],
    [`SP_NEVER_MATCHES ${source}.principals[0]`, `SP_NEEDS_PEER_IDENTITY ${source}.principals`],
    [from({ ipBlocks: ['10.0.0.1'] })],
  ],
  [
    'requestPrincipals with spiffe://',
    [ra('spiffe://td/ns/a/sa'), from({ requestPrincipals: ['spiffe://td/ns/a/sa/b'] })],
    ['SP_ISSUER spec.jwtRules[0].issuer', `SP_NEVER_MATCHES ${source}.requestPrincipals[0]`],
    [ra(ISSUER), from({ requestPrincipals: [`${ISSUER}/b`] })],
  ],
  [
    'an issuer that is not a URL, without keys: accounts.google.com',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'accounts.google.com' }] }), REQUIRED],
    ['SP_ISSUER spec.jwtRules[0].issuer'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'accounts.google.com', jwksUri: 'https://idp/keys' }] }), REQUIRED],
  ],
  [
    'an issuer that is not a URL, without keys: me@idp.example',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'me@idp.example' }] }), REQUIRED],
    ['SP_ISSUER spec.jwtRules[0].issuer'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'me@idp.example', jwksUri: 'https://idp/keys' }] }), REQUIRED],
  ],
  [
    'an issuer that is not a URL, without keys: idp',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'idp' }] }), REQUIRED],
    ['SP_ISSUER spec.jwtRules[0].issuer'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'idp', jwksUri: 'https://idp/keys' }] }), REQUIRED],
  ],
  [
    'an issuer that is not a URL, without keys: ftp://idp',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'ftp://idp' }] }), REQUIRED],
    ['SP_ISSUER spec.jwtRules[0].issuer'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'ftp://idp', jwksUri: 'https://idp/keys' }] }), REQUIRED],
  ],
  [
    'an issuer that is not a URL, without keys: urn:idp',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'urn:idp' }] }), REQUIRED],
    ['SP_ISSUER spec.jwtRules[0].issuer'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: 'urn:idp', jwksUri: 'https://idp/keys' }] }), REQUIRED],
  ],
  [
    'a claim iss that no JWT rule accepts',
    [ra(ISSUER), when('request.auth.claims[iss]', ['https://other', ISSUER])],
    ['SP_ISSUER spec.rules[0].when[0].values[0]'],
    [ra(ISSUER), when('request.auth.claims[iss]', [ISSUER, 'https://*'])],
  ],
  [
    'requestPrincipals */*',
    [ra(ISSUER), from({ requestPrincipals: ['*/*'] })],
    [`SP_NEVER_MATCHES ${source}.requestPrincipals[0]`],
    [ra(ISSUER), REQUIRED],
  ],
  [
    'quotes around the name of a claim',
    [ra(ISSUER), when('request.auth.claims["groups"]', ['a'])],
    ['SP_NEVER_MATCHES spec.rules[0].when[0].key'],
    [ra(ISSUER), when('request.auth.claims[groups]', ['a*b', '"a"'])],
  ],
  ['AUDIT without rules', [ap({ action: 'AUDIT' })], ['SP_NEVER_MATCHES spec.rules'], [ap({ action: 'AUDIT', rules: [{}] })]],
  ['ALLOW for every request', [rules({})], ['SP_WIDE_RULE spec.rules[0]'], [ap({})]],
  [
    'DENY for every request',
    [ap({ action: 'DENY', rules: [{}] })],
    ['SP_WIDE_RULE spec.rules[0]'],
    [ap({ action: 'CUSTOM', provider: { name: 'x' }, rules: [{}] })],
  ],
  ['from and to in two rules', [rules(FROM, A)], ['SP_SPLIT_RULE spec.rules[1]'], [rules({ ...FROM, ...A })]],
  ['to and from in two rules', [rules(A, FROM)], ['SP_SPLIT_RULE spec.rules[1]'], [rules({ ...FROM, ...A })]],
  ['a rule twice', [rules(A, A)], ['SP_UNREACHABLE_RULE spec.rules[1]'], [rules(A, { to: [{ operation: { paths: ['/b'] } }] })]],
  [
    'a rule next to the empty rule',
    [rules({}, A)],
    ['SP_WIDE_RULE spec.rules[0]', 'SP_UNREACHABLE_RULE spec.rules[1]'],
    [rules(A, { to: [{ operation: { paths: ['/b*'] } }] })],
  ],
  [
    'a negative field that matches anonymous clients',
    [ra(ISSUER), from({ notRequestPrincipals: [`${ISSUER}/bob`] })],
    [`SP_WIDE_RULE ${source}.notRequestPrincipals`],
    [ra(ISSUER), from({ requestPrincipals: ['*'], notRequestPrincipals: [`${ISSUER}/bob`] })],
  ],
  [
    'a negative condition that matches anonymous clients',
    [ra(ISSUER), rules({ when: [{ key: 'request.auth.claims[g]', notValues: ['a'] }] })],
    ['SP_WIDE_RULE spec.rules[0].when[0].notValues'],
    [ra(ISSUER), ap({ action: 'DENY', rules: [{ when: [{ key: 'request.auth.claims[g]', notValues: ['a'] }] }] })],
  ],
  [
    'a rule for tokens that no RequestAuthentication verifies',
    [REQUIRED],
    [`SP_NO_JWT_RULE ${source}.requestPrincipals`],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: ISSUER }] }, { namespace: 'istio-system' }), REQUIRED],
  ],
  [
    'tokens that no AuthorizationPolicy requires',
    [ra(ISSUER), to({ paths: ['/a'] })],
    ['SP_TOKEN_OPTIONAL spec.jwtRules'],
    [ra(ISSUER), when('request.auth.claims[g]', ['a'])],
  ],
  [
    'tokens that are required only on other pods',
    [ra(ISSUER), ap({}, { namespace: 'bar' })],
    ['SP_TOKEN_OPTIONAL spec.jwtRules'],
    [ra(ISSUER, { presence: 'REQUIRED' })],
  ],
  [
    'an issuer that no rule has',
    [ra(ISSUER), from({ requestPrincipals: ['https://other/*'] })],
    [`SP_ISSUER ${source}.requestPrincipals[0]`],
    [ra(ISSUER), from({ requestPrincipals: [`${ISSUER}/*`] })],
  ],
  [
    'an issuer that differs by a slash',
    [ra(`${ISSUER}/`), from({ requestPrincipals: [`${ISSUER}/*`] })],
    ['SP_ISSUER spec.jwtRules[0].issuer', `SP_ISSUER ${source}.requestPrincipals[0]`],
    [ra(ISSUER), when('request.auth.principal', [`${ISSUER}/a`])],
  ],
  [
    'a subject with a slash',
    [ra(ISSUER), from({ requestPrincipals: [`${ISSUER}/a/b`] })],
    [`SP_ISSUER ${source}.requestPrincipals[0]`],
    [ra(ISSUER), from({ requestPrincipals: ['*/b'] })],
  ],
  [
    "a dot in one of Keycloak's claims",
    [ra(ISSUER), when('request.auth.claims[realm_access.roles]', ['a'])],
    ['SP_NEVER_MATCHES spec.rules[0].when[0].key'],
    [ra(ISSUER), when('request.auth.claims[realm_access][roles]', ['a']), when('request.auth.claims[kubernetes.io][pod]', ['a'])],
  ],
  [
    'an address that clients can forge',
    [from({ remoteIpBlocks: ['10.0.0.0/8'] }), when('remote.ip', ['192.0.2.0/24'])],
    [`SP_EVADABLE ${source}.remoteIpBlocks`, 'SP_EVADABLE spec.rules[0].when[0].key'],
    [
      from({ remoteIpBlocks: ['10.0.0.0/8'], ipBlocks: ['10.9.0.1'] }),
      rules({ ...FROM, when: [{ key: 'remote.ip', values: ['1.2.3.4'] }] }),
    ],
  ],
  [
    'an address that clients can forge in a DENY rule, even for a known peer',
    [ap({ action: 'DENY', rules: [{ from: [{ source: { remoteIpBlocks: ['10.0.0.0/8'], ipBlocks: ['10.9.0.1'] } }] }] })],
    [`SP_EVADABLE ${source}.remoteIpBlocks`],
    [from({ ipBlocks: ['10.9.0.1'] })],
  ],
  [
    'a denied host that a port hides',
    [ap({ action: 'DENY', rules: [{ to: [{ operation: { hosts: ['a.test', 'B.test', 'b.test:*'] } }] }] })],
    ['SP_EVADABLE spec.rules[0].to[0].operation.hosts[0]'],
    [
      ap({ action: 'DENY', rules: [{ to: [{ operation: { hosts: ['a.test', 'a.test*', '*.test', 'b.test:80'] } }] }] }),
      to({ hosts: ['a.test'] }),
    ],
  ],
  [
    'an excluded host that a port hides',
    [to({ notHosts: ['a.test'] })],
    ['SP_EVADABLE spec.rules[0].to[0].operation.notHosts[0]'],
    [to({ notHosts: ['a.test', 'a.test:*'] })],
  ],
  [
    'an output header that is a token location',
    [ra(ISSUER, { presence: 'REQUIRED', outputPayloadToHeader: 'Authorization', outputClaimToHeaders: [{ header: 'x-a', claim: 'a' }] })],
    ['SP_JWT_RULE spec.jwtRules[0].outputPayloadToHeader'],
    [ra(ISSUER, { presence: 'REQUIRED', outputPayloadToHeader: 'authorization', fromHeaders: [{ name: 'x-token' }] })],
  ],
  [
    'a JWT rule twice',
    [policy('RequestAuthentication', { jwtRules: [{ issuer: ISSUER }, { issuer: ISSUER }] }), REQUIRED],
    ['SP_UNREACHABLE_RULE spec.jwtRules[1]'],
    [policy('RequestAuthentication', { jwtRules: [{ issuer: ISSUER }, { issuer: ISSUER, fromCookies: ['a'] }] }), REQUIRED],
  ],
  [
    'a service account without a namespace in the root namespace',
    [ap({ rules: [{ from: [{ source: { serviceAccounts: ['web'] } }] }] }, { namespace: 'istio-system' })],
    [`SP_NEVER_MATCHES ${source}.serviceAccounts[0]`, `SP_NEEDS_PEER_IDENTITY ${source}.serviceAccounts`],
    [ap({})],
  ],
  [
    'ALLOW under a DENY for every request',
    [ap({ action: 'DENY', rules: [{}] }, { namespace: 'istio-system' }), labelled('a', { rules: [A] })],
    ['SP_WIDE_RULE spec.rules[0]', 'SP_UNREACHABLE_RULE spec.rules'],
    [labelled('b', { action: 'DENY', rules: [A] }), labelled('a', { rules: [A] })],
  ],
  [
    'ALLOW without rules next to one with rules',
    [labelled('a', {}), labelled('a', { rules: [A] }, 'q')],
    ['SP_UNREACHABLE_RULE spec'],
    [ap({}), labelled('a', { rules: [A] }, 'q')],
  ],
];

describe('lint of rules and policies', () => {
  for (const [what, bad, expected, good] of WARNINGS) {
    it(`warns of ${what}`, () => {
      expect(lint(...bad)).to.deep.equal(expected);
      expect(lint(...good)).to.deep.equal([]);
    });
  }

  it('compares an ALLOW for every request with ALLOW policies for the same pods only', () => {
    const wide = labelled('a', { rules: [{}] });
    const wideOnly = ['SP_WIDE_RULE spec.rules[0]'];
    expect(lint(wide, labelled('a', { rules: [A] }, 'q'))).to.deep.equal([...wideOnly, 'SP_UNREACHABLE_RULE spec.rules']);
    expect(lint(wide, labelled('b', { rules: [A] }, 'q'))).to.deep.equal(wideOnly);
    expect(lint(wide, labelled('a', { action: 'DENY', rules: [A] }, 'q'))).to.deep.equal(wideOnly);
  });

  it('accepts a service account without a namespace outside the root namespace, and with a namespace anywhere', () => {
    const needsPeer = [`SP_NEEDS_PEER_IDENTITY ${source}.serviceAccounts`];
    expect(lint(from({ serviceAccounts: ['web'] }))).to.deep.equal(needsPeer);
    expect(lint(ap({ rules: [{ from: [{ source: { serviceAccounts: ['foo/web'] } }] }] }, { namespace: 'istio-system' }))).to.deep.equal(
      needsPeer,
    );
  });

  it('does not let a dry-run policy make others unreachable', () => {
    const dry = ap({ action: 'DENY', rules: [{}] }, { name: 'dry', annotations: { 'istio.io/dry-run': 'true' } });
    expect(lint(dry, ap({ rules: [A] }))).to.deep.equal(['SP_WIDE_RULE spec.rules[0]']);
  });

  it('reports warnings with a hint', () => {
    const codes: ErrorCode[] = [];
    for (const { findings } of lintPolicies([rules({}, A), REQUIRED, ra(`${ISSUER}/`)], { rootNamespace: 'istio-system' })) {
      for (const finding of findings) {
        expect(finding).to.include({ severity: 'warning' }).and.to.have.property('hint');
        codes.push(finding.code);
      }
    }
    expect(codes).to.include.members(['SP_WIDE_RULE', 'SP_ISSUER']);
  });
});
