/*
 * Tests what each documented difference covers: a request that it explains, and the most similar request that it must not.
 */
import { expect } from 'chai';
import type { Observed, RecordedCase, RecordedRequest } from './case-file.ts';
import type { FieldDifference } from './compare.ts';
import { DOCUMENTED, documentedName } from './differences.ts';

interface Situation {
  readonly rules?: readonly object[];
  readonly jwksServers?: Readonly<Record<string, string>>;
  /** A rule of an AuthorizationPolicy that admission rejects with `refusal`. */
  readonly policy?: { readonly rule: object; readonly refusal?: string };
  readonly request?: Partial<RecordedRequest>;
  readonly ours?: Partial<Observed>;
  readonly difference?: Partial<FieldDifference>;
}

function nameOf({ rules = [], jwksServers = {}, policy, request = {}, ours = {}, difference = {} }: Situation): string | undefined {
  const resource = { kind: 'RequestAuthentication', metadata: { name: 'ra', namespace: 'foo' }, spec: { jwtRules: rules } };
  const workload = { name: 'app', namespace: 'foo', labels: {}, serviceAccount: 'app', ip: '10.0.0.1', ports: [] };
  const metadata = { name: 'ap', namespace: 'foo' };
  const asked: object = { rules: [policy?.rule ?? {}] };
  const resources = [resource, { kind: 'AuthorizationPolicy', metadata, spec: asked }];
  const rejected = policy?.refusal === undefined ? [] : [{ resource: 'any', stage: 'webhook' as const, error: policy.refusal }];
  const recorded: RecordedCase = {
    file: 'any',
    name: 'any',
    workload,
    jwksServers,
    applyInvalid: policy !== undefined,
    resources,
    requests: [],
    istio: { rejected },
  };
  return documentedName(
    { recorded, request: { name: 'any', port: 80, source: { ip: '10.0.0.2' }, ...request }, ours: { outcome: 'unauthenticated', ...ours } },
    { field: 'outcome', recorded: 'allow', ours: 'unauthenticated', ...difference },
  );
}

const segment = (text: string): string => Buffer.from(text).toString('base64url');
const token = (header: string, payload: string, signatureBytes = 64): Partial<RecordedRequest> => ({
  headers: [['authorization', `Bearer ${segment(header)}.${segment(payload)}.${Buffer.alloc(signatureBytes, 1).toString('base64url')}`]],
});
const failing = (body: string): Partial<Observed> => ({ status: 401, body });
const ES256 = '{"alg":"ES256"}';
const smallKey = JSON.stringify({ keys: [{ kty: 'RSA', e: 'AQAB', n: Buffer.alloc(64, 255).toString('base64url') }] });
const manyKeys = JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) });
const rejected: Partial<Observed> = { outcome: 'reject', status: 400 };
const path = (recorded: string, ours: string): Partial<FieldDifference> => ({ field: 'upstream.path', recorded, ours });

const asking = (key: string): { rule: object } => ({ rule: { when: [{ key, values: ['a'] }] } });
const toPath = (template: string): { rule: object } => ({ rule: { to: [{ operation: { paths: [template] } }] } });
const WITHOUT_HOST: Observed = { outcome: 'allow', status: 200, upstream: { method: 'GET', path: '/', headers: [] } };
const NO_HOST = 'filter_removed_required_request_headers{missing_required_header:_:authority}';
const BAD_PATH = 'invalid policy ap.foo: invalid or unsupported path, found in Paths.';

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
  ['query-rebuild-escapes', { difference: path('/p?a= x#é', '/p?a=%20x%23%C3%A9') }, { difference: path('/p?a= x', '/p?a=x') }],
  [
    'jwt-json-dialect',
    { request: token("{'alg':'RS256'}", '{}'), ours: failing('Jwt header is an invalid JSON') },
    { request: token('{"alg":"RS256"}', '{}'), ours: failing('Jwt header is an invalid JSON') },
  ],
  ['jwt-json-dialect', { jwksServers: { u: '{"keys":[],}' } }, { jwksServers: { u: '{"keys":[]}' } }],
  [
    'jwt-partly-accepted',
    {
      rules: [
        {
          fromHeaders: [
            { name: 'x', prefix: 'a ' },
            { name: 'X', prefix: 'b ' },
          ],
        },
        {},
      ],
    },
    { rules: [{ fromHeaders: [{ name: 'x' }, { name: 'y' }] }, {}] },
  ],
  [
    'jwt-partly-accepted',
    {
      rules: [{ fromHeaders: [{ name: 'Authorization' }] }, {}],
      ours: { outcome: 'deny', status: 403, details: 'jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}' },
    },
    { rules: [{ fromHeaders: [{ name: 'Authorization' }] }, {}], request: { observed: { outcome: 'unauthenticated' } } },
  ],
  ['presence-required', { rules: [{ presence: 'REQUIRED' }] }, { rules: [{ presence: 'OPTIONAL' }] }],
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
  ['jwks-symmetric-from-url', { jwksServers: { u: '{"keys":[{"kty":"oct"}]}' } }, { jwksServers: { u: '{"keys":[{"kty":"EC"}]}' } }],
  ['jwks-limits', { rules: [{ jwks: smallKey }] }, { rules: [{ jwks: '{"keys":[{"kty":"EC"}]}' }] }],
  ['jwks-limits', { jwksServers: { u: manyKeys } }, { jwksServers: { u: 'no JSON' } }],
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
    'metadata-of-filters',
    { policy: asking('experimental.envoy.filters.http.rbac[a]'), ours: { outcome: 'deny' } },
    { policy: asking('experimental.envoy.filters.http.other[a]'), ours: { outcome: 'deny' } },
  ],
  [
    'metadata-of-filters',
    { policy: asking('experimental.envoy.filters.http.ext_authz[a]'), difference: { field: 'dryRun.allow_shadow_engine_result' } },
    { policy: asking('experimental.envoy.filters.http.ext_authz[a]'), ours: { outcome: 'allow' } },
  ],
  [
    'values-not-admitted',
    { policy: { ...toPath('/{*}.json'), refusal: BAD_PATH }, ours: { outcome: 'deny' } },
    { policy: { ...toPath('/{x}'), refusal: BAD_PATH }, ours: { outcome: 'deny' } },
  ],
  [
    'values-not-admitted',
    { policy: asking('request.auth.claims'), ours: { outcome: 'deny' } },
    { policy: asking('request.auth.claims[a]'), ours: { outcome: 'deny' } },
  ],
  [
    'values-not-admitted',
    { policy: { ...toPath('/a*/{*}'), refusal: BAD_PATH }, ours: { outcome: 'deny' } },
    { policy: { ...toPath('/a/{*}'), refusal: 'bad port (x)' }, ours: { outcome: 'deny' } },
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

  it('never cover a request that is allowed here and was not in the record', () => {
    const theirs = { field: 'outcome', recorded: 'unauthenticated', ours: 'allow' };
    for (const [name, covered] of COVERED) {
      expect(nameOf({ ...covered, ours: { outcome: 'allow', status: 200 }, difference: theirs }), name).to.equal(undefined);
    }
  });
});
