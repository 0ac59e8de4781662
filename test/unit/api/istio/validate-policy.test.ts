/* The checks of Istio's webhook one by one, with Istio's exact texts; the recorded admissions cover the common ones. */
import { expect } from 'chai';
import { admissionError, admissionWarnings, denialMessage } from '../../../../src/api/istio/admission-error.ts';
import { validatePolicy } from '../../../../src/api/istio/validate-policy.ts';

function object(kind: string, spec: unknown, annotations: Record<string, string> = {}): Record<string, unknown> {
  return { apiVersion: 'security.istio.io/v1', kind, metadata: { namespace: 'foo', name: 'p', annotations }, spec };
}
const ap = (spec: unknown, annotations: Record<string, string> = {}): Record<string, unknown> =>
  object('AuthorizationPolicy', spec, annotations);
const ra = (spec: unknown, annotations: Record<string, string> = {}): Record<string, unknown> =>
  object('RequestAuthentication', spec, annotations);
const from = (source: unknown): unknown => ({ rules: [{ from: [{ source }] }] });
const to = (operation: unknown): unknown => ({ rules: [{ to: [{ operation }] }] });
const when = (condition: unknown): unknown => ({ rules: [{ when: [condition] }] });
const custom = (rule: unknown): unknown => ({ action: 'CUSTOM', provider: { name: 'x' }, rules: [rule] });
const key = JSON.stringify({
  keys: [
    { kty: 'RSA', n: 'AQAB', e: 'AQAB', d: 'AQAB' },
    { kty: 'EC', crv: 'P-256', x: 'AQAB', y: 'AQAB' },
    { kty: 'oct', k: 'AQAB' },
  ],
});
const jwks = (text: string): unknown => ({ jwtRules: [{ issuer: 'i', jwks: text }] });
const block = (...lines: readonly string[]): string =>
  `${lines.length === 1 ? '1 error' : `${lines.length} errors`} occurred:\n${lines.map((line) => `\t* ${line}\n`).join('')}\n`;
const bad = 'invalid policy p.foo: ';
const jwksError = 'jwks parse error: failed to unmarshal JWK set: ';

const ERRORS: readonly (readonly [string, Record<string, unknown>, string])[] = [
  // annotations
  [
    'a dry run of a RequestAuthentication',
    ra({}, { 'istio.io/dry-run': 'true' }),
    'foo/p has unsupported annotation istio.io/dry-run, please remove the annotation',
  ],
  [
    'a dry run of AUDIT',
    ap({ action: 'AUDIT' }, { 'istio.io/dry-run': 'x' }),
    'the annotation istio.io/dry-run currently only supports action ALLOW/DENY, found action AUDIT in foo/p',
  ],
  [
    'a dry run that is not a boolean',
    ap({ action: 'DENY' }, { 'istio.io/dry-run': 'yes' }),
    'foo/p has annotation istio.io/dry-run with invalid value (yes): strconv.ParseBool: parsing "yes": invalid syntax',
  ],
  // targets
  [
    'selector and target',
    ap({ selector: { matchLabels: { a: 'b' } }, targetRef: { kind: 'Service', name: 's' } }),
    `${bad}only one of targetRefs or workloadSelector can be set`,
  ],
  ['a wildcard label', ra({ selector: { matchLabels: { a: '*' } } }), 'wildcard is not supported in selector: "a=*"'],
  [
    'a target without a name, in another namespace',
    ap({ targetRefs: [{ kind: 'Service', namespace: 'x' }] }),
    block(`${bad}targetRef name must be set`, `${bad}targetRef namespace must not be set; cross namespace referencing is not supported`),
  ],
  [
    'a target of another kind',
    ap({ targetRefs: [{ group: 'apps', kind: 'Deployment', name: 'd' }] }),
    `${bad}targetRef must be to one of [core/v1/Service networking.istio.io/v1/ServiceEntry gateway.networking.k8s.io/v1/Gateway gateway.networking.k8s.io/v1/GatewayClass] but was apps/Deployment`,
  ],
  // JWT rules
  ['neither issuer nor URL', ra({ jwtRules: [{ jwks: key }] }), block('issuer or jwksUri must be non-empty string')],
  [
    'an invalid header and an invalid timeout',
    ra({ jwtRules: [{ issuer: 'i', outputClaimToHeaders: [{ header: 'a b', claim: 'c' }], timeout: '1500us' }] }),
    block('header name a b is not a valid header name', 'only durations to ms precision are supported'),
  ],
  [
    'an invalid port in the URL',
    ra({ jwtRules: [{ jwksUri: 'https://a:b' }] }),
    block('parse "https://a:b": invalid port ":b" after host'),
  ],
  [
    'a huge port in the URL',
    ra({ jwtRules: [{ jwksUri: 'https://a:99999999999999999999' }] }),
    block('strconv.Atoi: parsing "99999999999999999999": value out of range'),
  ],
  ['a key set that is not JSON', ra(jwks('hello')), block(`${jwksError}invalid character 'h' looking for beginning of value`)],
  [
    'a key set that is a certificate',
    ra(jwks('{"kid":"-----BEGIN CERTIFICATE-----"}')),
    block(`${jwksError}failed to parse sole key in key set: invalid key type from JSON ()`),
  ],
  ['a key set of whitespace', ra(jwks(' ')), block(`${jwksError}EOF`)],
  ['a key set that is half a literal', ra(jwks('tru')), block(`${jwksError}unexpected EOF`)],
  ['a key set that is a literal with trailing text', ra(jwks('true x')), block(`${jwksError}invalid character ' ' after top-level value`)],
  ['a key set that is an array', ra(jwks('[]')), block(`${jwksError}expected '{', but got '['`)],
  [
    'a key without a required member',
    ra(jwks('{"keys":[{"kty":"RSA","n":"AQAB"}]}')),
    block(
      `${jwksError}failed to decode key #0 in "keys": failed to unmarshal JSON into key (*jwk.rsaPublicKey): required field e is missing`,
    ),
  ],
  [
    'a key with a member that is not base64',
    ra(jwks('{"keys":[{"kty":"RSA","n":"x","e":"AQAB","d":"AQAB"}]}')),
    block(
      `${jwksError}failed to decode key #0 in "keys": failed to unmarshal JSON into key (*jwk.rsaPrivateKey): failed to decode value for key n: expected base64 encoded []byte (string)`,
    ),
  ],
  ['a key set that is null', ra(jwks('null')), block(`${jwksError}error reading token: EOF`)],
  ['a single invalid address, as a block', ap(from({ ipBlocks: ['x'] })), block(`${bad}bad IP address (x)`)],
  [
    'a single invalid port, as a block',
    ap(to({ ports: ['x'] })),
    block(`${bad}bad port (x): strconv.ParseUint: parsing "x": invalid syntax`),
  ],
  [
    'a port with too many digits, regardless of what follows',
    ap(to({ ports: ['99999999999x'] })),
    block(`${bad}bad port (99999999999x): strconv.ParseUint: parsing "99999999999x": value out of range`),
  ],
  [
    'an annotation that Istio reserves for itself',
    ap({}, { 'internal.istio.io/parents': 'x' }),
    '"internal.istio.io/parents" annotation found, this may not be set by users',
  ],
  [
    "a string with a control character, in Go's quotes",
    ap(to({ ports: ['\u0007'] })),
    block(`${bad}bad port (\u0007): strconv.ParseUint: parsing "\\a": invalid syntax`),
  ],
  [
    'a key that is not an object',
    ra(jwks('{"keys":[5]}')),
    block(`${jwksError}failed to decode key #0 in "keys": failed to unmarshal JSON into key hint`),
  ],
  // actions
  [
    'DENY without rules',
    ap({ action: 'DENY', rules: [] }),
    `${bad}DENY action without \`rules\` is meaningless as it will never be triggered, add an empty rule \`{}\` if you want it be triggered for every request`,
  ],
  ['CUSTOM without a provider', ap({ action: 'CUSTOM', rules: [{}] }), `${bad}\`provider.name\` must not be empty`],
  ['a provider with ALLOW', ap({ provider: {} }), `${bad}\`provider\` must not be with non CUSTOM action, found ALLOW`],
  [
    'CUSTOM by principal',
    ap(custom({ from: [{ source: { principals: ['a'] } }], when: [{ key: 'request.auth.claims[a]', values: ['b'] }] })),
    block(
      `${bad}From.Principals is currently not supported with CUSTOM action`,
      `${bad}request.auth.claims[a] is currently not supported with CUSTOM action`,
    ),
  ],
  // sources and operations
  ['a null source', ap({ rules: [{ from: [{}] }] }), `${bad}\`from.source\` must not be nil, found at rule 0`],
  ['an empty source', ap(from({})), `${bad}\`from.source\` must not be empty, found at rule 0`],
  ['a null operation', ap({ rules: [{}, { to: [null] }] }), `${bad}\`to.operation\` must not be nil, found at rule 1`],
  ['an empty operation', ap(to({ hosts: [] })), `${bad}\`to.operation\` must not be empty, found at rule 0`],
  [
    'service accounts with namespaces',
    ap(from({ serviceAccounts: ['a'], namespaces: ['b'] })),
    `${bad}cannot set serviceAccounts with namespaces or principals, found at rule 0`,
  ],
  [
    'every invalid address',
    ap(from({ ipBlocks: ['1.2.3.4/33', 'x', '::1'] })),
    block(`${bad}bad CIDR range (1.2.3.4/33): netip.ParsePrefix("1.2.3.4/33"): prefix length out of range`, `${bad}bad IP address (x)`),
  ],
  ['an empty principal', ap(from({ notRequestPrincipals: ['a', ''] })), `${bad}empty value not allowed, found in NotRequestPrincipals`],
  [
    'too many service accounts',
    ap(from({ serviceAccounts: Array.from({ length: 17 }, () => 'a') })),
    `${bad}may not have more than 16 values`,
  ],
  ['a wildcard in a service account', ap(from({ serviceAccounts: ['a*'] })), `${bad}wildcard not allowed, found in ServiceAccounts`],
  [
    'a service account of three parts',
    ap(from({ serviceAccounts: ['a/b/c'] })),
    `${bad}expected format 'serviceAccount' or 'namespace/serviceAccount', found "a/b/c" in ServiceAccounts`,
  ],
  [
    'a service account without a namespace',
    ap(from({ serviceAccounts: ['/b'] })),
    `${bad}expected format 'serviceAccount' or 'namespace/serviceAccount', found empty namespace "/b" in ServiceAccounts`,
  ],
  [
    'a service account without a name',
    ap(from({ notServiceAccounts: ['a/'] })),
    `${bad}expected format 'serviceAccount' or 'namespace/serviceAccount', found empty serviceAccount "a/" in NotServiceAccounts`,
  ],
  [
    'two wildcards in a trust domain',
    ap(from({ trustDomains: ['*a*'] })),
    `${bad}at most one wildcard is allowed, found in TrustDomains: "*a*"`,
  ],
  [
    'a wildcard inside a trust domain',
    ap(from({ trustDomains: ['a*b'] })),
    `${bad}wildcard is only allowed at the start or end, found in TrustDomains: "a*b"`,
  ],
  [
    'a slash in a trust domain',
    ap(from({ trustDomains: ['a/b'] })),
    `${bad}trust domain must not contain '/', found in TrustDomains: "a/b"`,
  ],
  [
    'every invalid port',
    ap(to({ ports: ['http', '70000', '-1', '080'] })),
    block(
      `${bad}bad port (http): strconv.ParseUint: parsing "http": invalid syntax`,
      `${bad}bad port (70000): <nil>`,
      `${bad}bad port (-1): strconv.ParseUint: parsing "-1": invalid syntax`,
    ),
  ],
  // paths
  [
    'a named segment',
    ap(to({ paths: ['/a/{id}/'] })),
    `${bad}invalid or unsupported path a/{id}, found in Paths. Contains '{' or '}' beyond a supported path template`,
  ],
  [
    'an operator after {**}',
    ap(to({ notPaths: ['/{**}/{*}'] })),
    `${bad}invalid or unsupported path {**}/{*}, found in NotPaths. {**} is not the last operator`,
  ],
  [
    'a wildcard in a path template',
    ap(to({ paths: ['/a*/{*}'] })),
    `${bad}invalid or unsupported path a*/{*}, found in Paths. Contains segment a* with invalid string literal`,
  ],
  // conditions
  ['a missing key', ap(when({ values: ['x'] })), `${bad}\`key\` must not be empty`],
  ['missing values', ap(when({ key: 'source.ip' })), `${bad}at least one of \`values\` or \`notValues\` must be set for key source.ip`],
  [
    'an invalid address in a condition',
    ap(when({ key: 'remote.ip', notValues: ['x'] })),
    `${bad}invalid \`notValue\` for \`key\` remote.ip: ${block('bad IP address (x)')}`,
  ],
  [
    'an unknown key',
    ap(when({ key: 'request.path', values: ['/x'] })),
    block(
      `${bad}invalid \`value\` for \`key\` request.path: unknown attribute: request.path`,
      `${bad}invalid \`notValue\` for \`key\` request.path: unknown attribute: request.path`,
    ),
  ],
  [
    'a key without brackets',
    ap(when({ key: 'request.headers', values: ['x'] })),
    block(
      `${bad}invalid \`value\` for \`key\` request.headers: bad key (request.headers): should have format a[b]`,
      `${bad}invalid \`notValue\` for \`key\` request.headers: bad key (request.headers): should have format a[b]`,
    ),
  ],
  [
    'a wildcard in a service account of a condition',
    ap(when({ key: 'source.serviceAccount', values: ['*'] })),
    `${bad}invalid \`value\` for \`key\` source.serviceAccount: wildcard not allowed, found in source.serviceAccount`,
  ],
  // the object
  ['an unknown top-level member', { ...ap({}), data: {} }, 'unknown field "data" on AuthorizationPolicy resource foo/p'],
];

describe('webhook stage of validation', () => {
  for (const [what, policy, expected] of ERRORS) {
    it(`rejects ${what}`, () => {
      expect(admissionError(String(policy['kind']), 'foo', 'p', validatePolicy(policy))).to.equal(expected);
    });
  }

  const ACCEPTED: readonly (readonly [string, Record<string, unknown>])[] = [
    ['a missing spec', ap(undefined)],
    ['AUDIT without rules', ap({ action: 'AUDIT' })],
    ['a dry run', ap({ action: 'DENY', rules: [{}] }, { 'istio.io/dry-run': 'T' })],
    ['a slash in a trust domain of a condition', ap(when({ key: 'source.trustDomain', values: ['a/b'] }))],
    ['a key that only starts like a known one', ap(when({ key: 'request.headersX[foo]', values: ['b'] }))],
    ['literals after {**}', ap(to({ paths: ['/a/{**}/b'] }))],
    ['an empty list of keys', ra(jwks('{"keys":[]}'))],
    ['any issuer with a URL', ra({ jwtRules: [{ jwksUri: 'https://a' }] })],
    ['a JWT rule with jwksUri', ra({ jwtRules: [{ issuer: 'i', jwksUri: 'http://a:99999/' }] })],
  ];
  for (const [what, policy] of ACCEPTED) {
    it(`accepts ${what}`, () => {
      expect(validatePolicy(policy).filter(({ severity }) => severity === 'error')).to.deep.equal([]);
    });
  }

  it('warns of private keys with their index', () => {
    const text = (index: number): string =>
      `jwks key at index ${index} contains private key material; only public keys are used for verification`;

    expect(admissionWarnings(validatePolicy(ra(jwks(key))))).to.deep.equal([text(0), text(2)]);
  });

  it('warns of each DENY rule that denies all TCP connections', () => {
    const rules = [
      { to: [{ operation: { methods: ['GET'] } }] },
      { to: [{ operation: { methods: ['GET'] } }, { operation: { ports: ['80'] } }] },
      { from: [{ source: { requestPrincipals: ['*'] } }] },
      { from: [{ source: { trustDomains: ['a'] } }] },
      { from: [{ source: { requestPrincipals: ['*'] } }, { source: { namespaces: ['a'] } }] },
      { when: [{ key: 'request.headers[a]', values: ['b'] }] },
      {},
    ];
    const findings = validatePolicy(ap({ action: 'DENY', rules }));

    expect(findings.map(({ path, severity }) => [path, severity])).to.deep.equal(
      [0, 2, 3].map((index) => [`spec.rules[${index}]`, 'warning']),
    );
    expect(validatePolicy(ap({ action: 'ALLOW', rules }))).to.deep.equal([]);
  });

  it('gives each finding the path of the invalid value', () => {
    const spec = { rules: [{}, { to: [{ operation: { methods: ['GET'] } }, { operation: { ports: ['80', 'x'] } }] }] };

    expect(validatePolicy(ap(spec)).map(({ path, code }) => [path, code])).to.deep.equal([
      ['spec.rules[1].to[1].operation.ports[1]', 'SP_VALUE'],
    ]);
  });
});

describe('messages outside of admission', () => {
  const CASES: readonly (readonly [what: string, policy: Record<string, unknown>, message: string])[] = [
    [
      'a dry run that is not a boolean',
      ap({ action: 'DENY' }, { 'istio.io/dry-run': 'yes' }),
      'foo/p has annotation istio.io/dry-run with invalid value (yes): expected true or false',
    ],
    [
      'an invalid URL',
      ra({ jwtRules: [{ issuer: 'i', jwksUri: 'https://a:b' }] }),
      '"https://a:b" is not a valid URL: invalid port ":b" after host',
    ],
    [
      'a control character in a URL',
      ra({ jwtRules: [{ jwksUri: 'https://a"\u0007/' }] }),
      String.raw`"https://a\"\a/" is not a valid URL: invalid control character in URL`,
    ],
    [
      'a port that is out of range',
      ra({ jwtRules: [{ jwksUri: 'https://a:99999999999999999999' }] }),
      'port "99999999999999999999" of the URL is out of range',
    ],
    ['an invalid port', ap(to({ ports: ['http'] })), 'bad port (http): expected a number from 0 to 65535'],
    ['a port above the maximum', ap(to({ ports: ['70000'] })), 'bad port (70000): expected a number from 0 to 65535'],
    ['an invalid address of a CIDR block', ap(from({ ipBlocks: ['"x/8'] })), 'bad CIDR range ("x/8): unable to parse IP'],
    ['an invalid CIDR block', ap(from({ ipBlocks: ['1.2.3.4/33'] })), 'bad CIDR range (1.2.3.4/33): prefix length out of range'],
    [
      'invalid values of a condition',
      ap(when({ key: 'remote.ip', values: ['x', '1.2.3.4/33'] })),
      'invalid `value` for `key` remote.ip: bad IP address (x); bad CIDR range (1.2.3.4/33): prefix length out of range',
    ],
    ['a key set that is not JSON', ra(jwks('hello')), 'invalid key set: not JSON'],
    ['a key set that is an array', ra(jwks('[]')), 'invalid key set: expected an object, found an array'],
    ['a key set that is null', ra(jwks('null')), 'invalid key set: expected an object'],
    ['keys that are not an array', ra(jwks('{"keys":{}}')), 'invalid key set: "keys" is not an array'],
    ['a single key without a type', ra(jwks('{"kid":"a"}')), 'invalid key set: the only key: unknown "kty" ""'],
    ['a null key', ra(jwks('{"keys":[null]}')), 'invalid key set: keys[0]: expected an object, found null'],
    ['a key that is not an object', ra(jwks('{"keys":[5]}')), 'invalid key set: keys[0]: expected an object with a string "kty"'],
    ['two types of one key', ra(jwks('{"keys":[{"kty":"RSA","KTY":"EC"}]}')), 'invalid key set: keys[0]: conflicting values of "kty"'],
    [
      'a key without a required member',
      ra(jwks('{"keys":[{"kty":"EC","crv":"P-256","x":"AQAB"}]}')),
      'invalid key set: keys[0]: missing member "y"',
    ],
    [
      'a member that is not base64',
      ra(jwks('{"keys":[{"kty":"RSA","n":"x","e":"AQAB"}]}')),
      'invalid key set: keys[0]: "n": expected base64url',
    ],
    [
      'a member that is not a string',
      ra(jwks('{"keys":[{"kty":"RSA","n":"AQAB","e":5}]}')),
      'invalid key set: keys[0]: "e": expected a string',
    ],
    [
      'a curve that is not a string',
      ra(jwks('{"keys":[{"kty":"EC","crv":5,"x":"","y":""}]}')),
      'invalid key set: keys[0]: "crv": expected a string',
    ],
    [
      'operations that are not strings',
      ra(jwks('{"keys":[{"kty":"oct","k":"","key_ops":[5]}]}')),
      'invalid key set: keys[0]: "key_ops": expected an array of strings',
    ],
    [
      'certificates that are not base64',
      ra(jwks('{"keys":[{"kty":"oct","k":"","x5c":["#"]}]}')),
      'invalid key set: keys[0]: "x5c": expected base64 certificates',
    ],
    [
      'certificates that are not DER',
      ra(jwks('{"keys":[{"kty":"oct","k":"","x5c":["AQAB"]}]}')),
      'invalid key set: keys[0]: "x5c": not an X.509 certificate',
    ],
  ];
  for (const [what, policy, message] of CASES) {
    it(`are free of Go's error texts for ${what}`, () => {
      const errors = validatePolicy(policy).filter(({ stage }) => stage !== 'crd');

      expect(errors.map((finding) => finding.message)).to.deep.equal([message]);
      expect(errors[0]?.admissionMessage).to.be.a('string').and.not.equal(message);
    });
  }
});

describe('denialMessage', () => {
  it('names the stage that rejects', () => {
    const message = (policy: Record<string, unknown>): string | undefined =>
      denialMessage(String(policy['kind']), 'foo', 'p', validatePolicy(policy));

    expect(message(ap({ action: 'DENY' }))).to.match(/^configuration is invalid: invalid policy p\.foo: DENY action/);
    expect(message(ra({ jwtRules: [{ timeout: 'apple' }] }))).to.equal(
      'error decoding configuration: bad Duration: time: invalid duration "apple"',
    );
    expect(message({ ...ap({}), data: {} })).to.equal('unknown field "data" on AuthorizationPolicy resource foo/p');
    expect(message(ap({}))).to.equal(undefined);
  });
});

describe('CRD stage of validation', () => {
  it('rejects an API version that is not served', () => {
    const [finding] = validatePolicy({ ...ap({}), apiVersion: 'security.istio.io/v2' });

    expect(finding).to.include({ stage: 'crd', code: 'SP_SCHEMA', path: 'apiVersion' });
  });

  it('reports violated CEL rules with their own code', () => {
    const findings = validatePolicy(ra({ selector: {}, targetRefs: [], jwtRules: [{ jwks: '', jwksUri: 'https://a' }] }));

    expect(findings.filter(({ stage }) => stage === 'crd').map(({ code, path, message }) => [code, path, message])).to.deep.equal([
      ['SP_CEL', 'spec.jwtRules[0]', 'Invalid value: only one of jwks or jwksUri can be set'],
      ['SP_CEL', 'spec', 'Invalid value: only one of targetRefs or selector can be set'],
    ]);
  });
});
