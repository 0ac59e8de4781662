/*
 * Tests what each documented difference covers: a request that it explains, and the most similar request that it must not.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect } from 'chai';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';
import type { FieldDifference } from './compare.ts';
import { DOCUMENTED, type DocumentedDifference, documentedName } from './differences.ts';

interface Situation {
  readonly rules?: readonly object[];
  /** Of the policy with the rules, and of no other; absent: that of the workload. */
  readonly namespace?: string;
  readonly jwksServers?: Readonly<Record<string, string>>;
  readonly secretCheckHeaders?: boolean;
  /** A rule of an AuthorizationPolicy that admission rejects with `refusal`. */
  readonly policy?: { readonly rule: object; readonly refusal?: string; readonly isDryRun?: boolean };
  readonly request?: Partial<RecordedRequest>;
  readonly ours?: Partial<Observed>;
  readonly difference?: Partial<FieldDifference>;
}

function nameOf(
  {
    rules = [],
    namespace = 'foo',
    jwksServers = {},
    secretCheckHeaders = false,
    policy,
    request = {},
    ours = {},
    difference = {},
  }: Situation,
  documented: readonly DocumentedDifference[] = DOCUMENTED,
): string | undefined {
  const apiVersion = 'security.istio.io/v1';
  const resource = { apiVersion, kind: 'RequestAuthentication', metadata: { name: 'ra', namespace }, spec: { jwtRules: rules } };
  const workload = { name: 'app', namespace: 'foo', labels: {}, serviceAccount: 'app', ip: '10.0.0.1', ports: [] };
  const annotations = policy?.isDryRun === true ? { 'istio.io/dry-run': 'true' } : undefined;
  const metadata = { name: 'ap', namespace: 'foo', ...(annotations === undefined ? {} : { annotations }) };
  const asked: object = { rules: [policy?.rule ?? {}] };
  const resources = [resource, { kind: 'AuthorizationPolicy', metadata, spec: asked }];
  const rejected = policy?.refusal === undefined ? [] : [{ resource: 'any', stage: 'webhook' as const, error: policy.refusal }];
  const recorded: RecordedCase = {
    file: 'any',
    name: 'any',
    workload,
    jwksServers,
    secretCheckHeaders,
    applyInvalid: policy !== undefined,
    resources,
    requests: [],
    istio: { rejected },
  };
  return documentedName(
    {
      recorded,
      request: { name: 'any', port: 80, source: { ip: '10.0.0.2' }, observed: { outcome: 'allow' }, ...request },
      ours: { outcome: 'unauthenticated', ...ours },
    },
    { field: 'outcome', recorded: 'allow', ours: 'unauthenticated', ...difference },
    documented,
  );
}

const segment = (text: string): string => Buffer.from(text).toString('base64url');
const token = (header: string, payload: string, signatureBytes = 64): Partial<RecordedRequest> => ({
  headers: [['authorization', `Bearer ${segment(header)}.${segment(payload)}.${Buffer.alloc(signatureBytes, 1).toString('base64url')}`]],
});
const failing = (body: string): Partial<Observed> => ({ status: 401, body });
const ES256 = '{"alg":"ES256"}';
const small = generateKeyPairSync('rsa', { modulusLength: 512 });
const normal = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = (...keys: readonly object[]): string => JSON.stringify({ keys });
const publicKey = (pair: { readonly publicKey: KeyObject }): object => pair.publicKey.export({ format: 'jwk' });
const smallKey = jwks(publicKey(small));
const manyKeys = jwks(...Array.from({ length: 100 }, () => ({ kty: 'EC' })), publicKey(normal));
const SECRET = Buffer.from('a secret of the issuer');
const secretKey = jwks({ kty: 'oct', k: SECRET.toString('base64url') });

/** A request with a token of issuer `i`, signed by `key`. */
function signedBy(key: KeyObject | Buffer, issuer = 'i'): Partial<RecordedRequest> {
  const text = `${segment(JSON.stringify({ alg: Buffer.isBuffer(key) ? 'HS256' : 'RS256' }))}.${segment(JSON.stringify({ iss: issuer }))}`;
  const signature = Buffer.isBuffer(key) ? createHmac('sha256', key).update(text).digest() : sign('sha256', Buffer.from(text), key);
  return { headers: [['authorization', `Bearer ${text}.${signature.toString('base64url')}`]] };
}

const FORWARDED: Observed = {
  outcome: 'allow',
  status: 200,
  upstream: {
    method: 'GET',
    path: '/',
    headers: [
      ['host', ''],
      ['x-forwarded-proto', 'http'],
    ],
  },
};
const required = { issuer: 'i', jwks: jwks(publicKey(normal)), presence: 'REQUIRED' };
const rejected: Partial<Observed> = { outcome: 'reject', status: 400 };
const path = (recorded: string, ours: string): Partial<FieldDifference> => ({ field: 'upstream.path', recorded, ours });

const connection = (recorded: string, ours: string): Partial<FieldDifference> => ({ field: 'upstream.headers.connection', recorded, ours });
const length = (recorded: string, ours: string): Partial<FieldDifference> => ({ field: 'upstream.headers.content-length', recorded, ours });
const UPGRADE: Partial<RecordedRequest> = {
  method: 'GET',
  headers: [
    ['Connection', 'close'],
    ['connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
  ],
};
const REFUSED_UPGRADE: Partial<Observed> = { outcome: 'reject', status: 400, details: 'upgrade_with_body' };

const asking = (key: string): { rule: object } => ({ rule: { when: [{ key, values: ['a'] }] } });
const toPath = (template: string): { rule: object } => ({ rule: { to: [{ operation: { paths: [template] } }] } });
const DENIED: Partial<Observed> = { outcome: 'deny', details: 'rbac_access_denied_matched_policy[ns[foo]-policy[ap]-rule[0]]' };
const WITHHELD: Partial<Observed> = {
  outcome: 'deny',
  details: 'rbac_access_denied_matched_policy[istio-ext-authz-x-ns[a]-policy[b]-rule[0]-deny-due-to-bad-CUSTOM-action]',
};
const NONE_MATCHED: Partial<Observed> = { outcome: 'deny', details: 'rbac_access_denied_matched_policy[none]' };
const WITHOUT_HOST: Observed = { outcome: 'allow', status: 200, upstream: { method: 'GET', path: '/', headers: [] } };
const NO_HOST = 'filter_removed_required_request_headers{missing_required_header:_:authority}';
const BAD_PATH = 'invalid policy ap.foo: invalid or unsupported path, found in Paths.';

const asksFor = (answer: string): Situation => ({ request: { headers: [['X-Ext-Authz-Answer', answer]], observed: FORWARDED } });
const DENIED_BY_SERVER: Observed = { outcome: 'deny', status: 403, details: 'ext_authz_denied' };
const denialOf = (length: number): Observed => ({ ...DENIED_BY_SERVER, body: 'x'.repeat(length) });

/** A token that `key` signed, for a rule with a symmetric key; Envoy takes it, and Sallyport does not. */
function withSecret(key: Buffer): Situation {
  const request = { ...signedBy(key), method: 'GET', path: '/', host: '' };
  return {
    rules: [{ issuer: 'i', jwks: secretKey, forwardOriginalToken: true }],
    request: { ...request, observed: accepted(request.headers) },
  };
}

function accepted(headers: RecordedRequest['headers'] = []): Observed {
  const upstream = { method: 'GET', path: '/', headers: [['host', ''] as const, ...headers, ['x-forwarded-proto', 'http'] as const] };
  return { outcome: 'allow', status: 200, upstream };
}

/** Two rules, the first of which looks for tokens in two places of one header. */
const TWIN_FIELDS: readonly object[] = [
  {
    fromHeaders: [
      { name: 'x', prefix: 'a ' },
      { name: 'X', prefix: 'b ' },
    ],
  },
  {},
];
const TWO_TOKENS: readonly (readonly [string, string])[] = [
  ['x', 'a a.b.c'],
  ['X', 'b a.b.c'],
];

const COVERED: readonly (readonly [name: string, covered: Situation, neighbour: Situation])[] = [
  [
    'head-error-body',
    { request: { raw: 'HEAD * HTTP/1.1\r\nHost: a\r\n\r\n' }, difference: { field: 'body', recorded: 'Bad Request', ours: '' } },
    { request: { raw: 'GET * HTTP/1.1\r\nHost: a\r\n\r\n' }, difference: { field: 'body', recorded: 'Bad Request', ours: '' } },
  ],
  [
    'http1-strict-syntax',
    { request: { raw: 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n' }, ours: rejected },
    { request: { raw: 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\r\n' }, ours: rejected },
  ],
  [
    'close-after-unread-body',
    { request: { method: 'POST', body: 'a' }, difference: { field: 'headers.connection', recorded: '(absent)', ours: 'close' } },
    { request: { method: 'POST', body: '' }, difference: { field: 'headers.connection', recorded: '(absent)', ours: 'close' } },
  ],
  ['query-rebuild-escapes', { difference: path('/p?a= x#é', '/p?a=%20x%23%C3%A9') }, { difference: path('/p?a= x', '/p?a=x') }],
  [
    'jwt-json-dialect',
    { request: token("{'alg':'RS256'}", '{}'), ours: failing('Jwt header is an invalid JSON') },
    { request: token('{"alg":"RS256"}', '{}'), ours: failing('Jwt header is an invalid JSON') },
  ],
  [
    'jwt-json-dialect',
    { rules: [{ issuer: 'i', jwks: '{"keys":[],}' }], request: signedBy(normal.privateKey), ours: failing('Jwt verification fails') },
    { rules: [{ issuer: 'j', jwks: '{"keys":[],}' }], request: signedBy(normal.privateKey), ours: failing('Jwt verification fails') },
  ],
  [
    'jwt-json-dialect',
    {
      rules: [{ issuer: 'i', jwksUri: 'u' }],
      jwksServers: { u: '{"keys":[],}' },
      request: signedBy(normal.privateKey),
      ours: failing('Jwt verification fails'),
    },
    {
      rules: [{ issuer: 'i', jwksUri: 'u' }],
      jwksServers: { u: '{"keys":[],}' },
      request: signedBy(normal.privateKey),
      ours: failing('Jwt is expired'),
    },
  ],
  [
    'jwt-partly-accepted',
    { rules: TWIN_FIELDS, request: { headers: TWO_TOKENS, observed: FORWARDED } },
    { rules: TWIN_FIELDS, request: { headers: TWO_TOKENS, observed: { ...FORWARDED, status: 204 } } },
  ],
  [
    'jwt-partly-accepted',
    {
      rules: [{ fromHeaders: [{ name: 'Authorization' }] }, {}],
      request: { headers: [['authorization', 'Bearer a.b.c']], observed: FORWARDED },
      ours: { outcome: 'deny', status: 403, details: 'jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}' },
    },
    {
      rules: [{ fromHeaders: [{ name: 'Authorization' }] }, {}],
      request: { headers: [['authorization', 'Bearer a.b.c']], observed: { outcome: 'unauthenticated' } },
    },
  ],
  [
    'jwt-partly-accepted',
    { rules: TWIN_FIELDS, request: { headers: TWO_TOKENS, observed: FORWARDED } },
    { rules: [{ fromHeaders: [{ name: 'x' }] }, {}], request: { headers: TWO_TOKENS.slice(0, 1), observed: FORWARDED } },
  ],
  [
    'presence-required',
    { rules: [required], request: { observed: FORWARDED }, ours: failing('Jwt is missing') },
    { rules: [{ ...required, presence: 'OPTIONAL' }], request: { observed: FORWARDED }, ours: failing('Jwt is missing') },
  ],
  [
    'presence-required',
    { rules: [required], request: { observed: FORWARDED }, ours: failing('Jwt is missing') },
    { rules: [required], request: { observed: { outcome: 'deny', status: 403 } }, ours: failing('Jwt is missing') },
  ],
  [
    'jwt-ecdsa-length',
    { request: token(ES256, '{}', 66), ours: failing('Jwt verification fails') },
    { request: token(ES256, '{}', 64), ours: failing('Jwt verification fails') },
  ],
  [
    'output-header-underscore',
    {
      rules: [{ outputPayloadToHeader: 'X-User' }],
      request: { headers: [['x_user', 'me']] },
      difference: { field: 'upstream.headers.x_user', recorded: '["me"]', ours: '(absent)' },
    },
    {
      rules: [{ outputPayloadToHeader: 'X-Other' }],
      request: { headers: [['x_user', 'me']] },
      difference: { field: 'upstream.headers.x_user', recorded: '["me"]', ours: '(absent)' },
    },
  ],
  [
    'output-header-reserved',
    {
      rules: [{ outputClaimToHeaders: [{ header: 'Content-Length', claim: 'n' }] }],
      ours: { outcome: 'reject', details: 'filter_removed_required_request_headers{invalid_header_name:_content-length}' },
    },
    {
      rules: [{ outputPayloadToHeader: 'x y' }],
      ours: { outcome: 'reject', details: 'filter_removed_required_request_headers{invalid_header_name:_x_y}' },
    },
  ],
  [
    'output-header-reserved',
    { request: { observed: WITHOUT_HOST }, ours: { outcome: 'reject', details: NO_HOST } },
    { request: { observed: { outcome: 'reject', details: 'filter_removed_required_request_headers{missing_required_header:_:path}' } } },
  ],
  [
    'jwks-symmetric-from-url',
    { jwksServers: { u: secretKey }, request: signedBy(SECRET), ours: failing('Jwt verification fails') },
    { jwksServers: { u: secretKey }, request: signedBy(normal.privateKey), ours: failing('Jwt verification fails') },
  ],
  ['secrets-of-other-namespaces', { secretCheckHeaders: true, ours: WITHHELD }, { ours: WITHHELD }],
  [
    'secrets-of-other-namespaces',
    { ...withSecret(SECRET), namespace: 'istio-system' },
    { ...withSecret(Buffer.from('a key of somebody else')), namespace: 'istio-system' },
  ],
  ['secrets-of-other-namespaces', { ...withSecret(SECRET), namespace: 'istio-system' }, withSecret(SECRET)],
  [
    'wire-framing-rewritten',
    { ours: FORWARDED, difference: length('["003"]', '["3"]') },
    { ours: FORWARDED, difference: length('["003"]', '["30"]') },
  ],
  [
    'wire-framing-rewritten',
    { ours: FORWARDED, difference: length('["00"]', '["0"]') },
    { ours: FORWARDED, difference: length('["3"]', '(absent)') },
  ],
  [
    'wire-upgrades',
    { request: UPGRADE, ours: FORWARDED, difference: connection('["keep-alive, Upgrade"]', '["upgrade"]') },
    { request: UPGRADE, ours: FORWARDED, difference: connection('["keep-alive"]', '["upgrade"]') },
  ],
  [
    'wire-upgrades',
    { request: { ...UPGRADE, method: 'POST' }, ours: FORWARDED, difference: length('(absent)', '["0"]') },
    { request: { ...UPGRADE, method: 'POST', body: 'a' }, ours: FORWARDED, difference: length('(absent)', '["0"]') },
  ],
  [
    'wire-upgrades',
    { request: UPGRADE, ours: FORWARDED, difference: length('(absent)', '["0"]') },
    { request: { method: 'POST' }, ours: FORWARDED, difference: length('(absent)', '["0"]') },
  ],
  ['upgrade-with-body', { request: { ...UPGRADE, body: 'a' }, ours: REFUSED_UPGRADE }, { request: UPGRADE, ours: REFUSED_UPGRADE }],
  [
    'upgrade-with-body',
    { request: { ...UPGRADE, body: 'a' }, ours: REFUSED_UPGRADE },
    { request: { ...UPGRADE, body: 'a' }, ours: { outcome: 'reject', status: 400, details: 'http1.codec_error' } },
  ],
  [
    'jwks-limits',
    { rules: [{ jwks: smallKey }], request: signedBy(small.privateKey), ours: failing('Jwt verification fails') },
    { rules: [{ jwks: smallKey }], request: signedBy(normal.privateKey), ours: failing('Jwt verification fails') },
  ],
  [
    'jwks-limits',
    {
      jwksServers: { u: manyKeys },
      request: signedBy(normal.privateKey),
      ours: failing("Jwks doesn't have key to match kid or alg from Jwt"),
    },
    { jwksServers: { u: manyKeys }, request: signedBy(normal.privateKey), ours: failing('Jwt is expired') },
  ],
  [
    'custom-unknown-service',
    {
      request: {
        observed: { outcome: 'deny', details: 'rbac_access_denied_matched_policy[istio-ext-authz-x-ns[a]-policy[b]-rule[0]-deny]' },
      },
      ours: { outcome: 'deny', details: 'ext_authz_error' },
    },
    { request: { observed: { outcome: 'allow' } }, ours: { outcome: 'deny', details: 'ext_authz_error' } },
  ],
  [
    'custom-reach-of-answers',
    { ...asksFor('other-target'), ours: FORWARDED, difference: path('/replaced', '/a') },
    { ...asksFor('other-target'), ours: FORWARDED, difference: path('/other', '/a') },
  ],
  [
    'custom-reach-of-answers',
    { ...asksFor('other-target'), ours: FORWARDED, difference: { field: 'upstream.method', recorded: 'DELETE', ours: 'GET' } },
    { ours: FORWARDED, difference: { field: 'upstream.method', recorded: 'DELETE', ours: 'GET' } },
  ],
  [
    'custom-denial-limit',
    { request: { observed: denialOf((1 << 20) + 1) }, ours: DENIED_BY_SERVER, difference: { field: 'body', recorded: 'x', ours: '' } },
    { request: { observed: denialOf(1 << 20) }, ours: DENIED_BY_SERVER, difference: { field: 'body', recorded: 'x', ours: '' } },
  ],
  [
    'metadata-of-filters',
    { policy: asking('experimental.envoy.filters.http.rbac[a]'), ours: DENIED },
    { policy: asking('experimental.envoy.filters.http.other[a]'), ours: DENIED },
  ],
  [
    'metadata-of-filters',
    {
      policy: { ...asking('experimental.envoy.filters.http.ext_authz[a]'), isDryRun: true },
      difference: { field: 'dryRun.allow_shadow_engine_result' },
    },
    { policy: asking('experimental.envoy.filters.http.ext_authz[a]'), difference: { field: 'dryRun.allow_shadow_engine_result' } },
  ],
  [
    'values-not-admitted',
    { policy: { ...toPath('/{*}.json'), refusal: BAD_PATH }, ours: NONE_MATCHED },
    { policy: { ...toPath('/{x}'), refusal: BAD_PATH }, ours: NONE_MATCHED },
  ],
  [
    'values-not-admitted',
    { policy: asking('request.auth.claims'), ours: DENIED },
    {
      policy: asking('request.auth.claims'),
      ours: { ...DENIED, details: 'rbac_access_denied_matched_policy[ns[foo]-policy[other]-rule[0]]' },
    },
  ],
  [
    'values-not-admitted',
    { policy: { ...toPath('/a*/{*}'), refusal: BAD_PATH }, ours: NONE_MATCHED },
    { policy: { ...toPath('/a/{*}'), refusal: 'bad port (x)' }, ours: NONE_MATCHED },
  ],
];

describe('documented differences', () => {
  for (const [name, covered, neighbour] of COVERED) {
    it(`${name} covers its request, and not the most similar one`, () => {
      expect(nameOf(covered)).to.equal(name);
      expect(nameOf(neighbour)).to.equal(undefined);
    });
  }

  it('are all tested here', () => {
    expect([...new Set(COVERED.map(([name]) => name))]).to.have.members(DOCUMENTED.map(({ name }) => name));
  });

  for (const theirs of ['deny', 'unauthenticated', 'reject', 'refused'] as const) {
    it(`never cover a request that is allowed here and was ${theirs} in the record`, () => {
      const everything: DocumentedDifference = { name: 'everything', covers: () => true };
      for (const [name, covered] of COVERED) {
        const request = { ...covered.request, observed: { ...covered.request?.observed, outcome: theirs } };
        const looser = { ...covered, request, ours: { ...covered.ours, outcome: 'allow', status: 200 } } as const;
        for (const field of ['outcome', 'status', 'body', 'upstream.path', 'headers.content-type', 'dryRun.allow_shadow_engine_result']) {
          const difference = { field, recorded: theirs, ours: 'allow' };
          expect(nameOf({ ...looser, difference }), `${name} ${field}`).to.equal(undefined);
          expect(nameOf({ ...looser, difference }, [everything]), field).to.equal(undefined);
        }
      }
    });
  }
});
