import { expect } from 'chai';
import type { AuthorizationPolicy, Policy, RequestAuthentication } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type ExtensionProvider, type MeshConfig } from '../../../src/api/mesh-config.ts';
import { lintPolicy } from '../../../src/lint/lint-policies.ts';

const OCT = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0' }] });
const RSA = JSON.stringify({ keys: [{ kty: 'RSA', n: 'x', e: 'AQAB' }] });
const provider = {
  name: 'ext',
  protocol: 'http',
  service: 'ext.auth',
  port: 80,
  timeoutMs: 1,
  failOpen: false,
  statusOnError: 403,
} as const;

function tokens(namespace: string, jwks: string): RequestAuthentication {
  return {
    kind: 'RequestAuthentication',
    metadata: { namespace, name: 'ra' },
    spec: { jwtRules: [{ issuer: 'i', jwks }] },
  } as RequestAuthentication;
}

function custom(namespace: string, action = 'CUSTOM'): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    metadata: { namespace, name: 'ap' },
    spec: { action, provider: { name: 'ext' }, rules: [{}] },
  } as AuthorizationPolicy;
}

function secretsOf(policy: Policy, mesh: Partial<MeshConfig> = {}): readonly string[] {
  return lintPolicy(policy, { ...DEFAULT_MESH_CONFIG, ...mesh })
    .filter(({ code }) => code === 'SP_SECRET')
    .map(({ path, message }) => `${path}: ${message}`);
}

const withHeaders = (headers: Readonly<Record<string, string>>): { extensionProviders: readonly ExtensionProvider[] } => ({
  extensionProviders: [{ ...provider, includeAdditionalHeadersInCheck: headers }],
});

describe('lint of secrets', () => {
  it('says that readers of ConfigMaps can read a symmetric key', () => {
    expect(secretsOf(tokens('foo', OCT))).to.deep.equal([
      'spec.jwtRules[0].jwks: everyone who may read ConfigMaps in this namespace can read this symmetric key and forge tokens with it',
    ]);
  });

  it('says that a symmetric key of the root namespace is not published to others', () => {
    expect(secretsOf(tokens('istio-system', OCT))).to.deep.equal([
      'spec.jwtRules[0].jwks: symmetric keys are published to workloads of this namespace only; in other namespaces tokens signed with them are refused with 401',
    ]);
  });

  for (const jwks of [RSA, 'not json oct', '"oct"', '{"keys":"oct"}', '{"keys":[null,"oct"]}', '']) {
    it(`finds no secret in the key set ${jwks.slice(0, 20)}`, () => {
      expect(secretsOf(tokens('foo', jwks))).to.deep.equal([]);
    });
  }

  it('says where a provider with header values is not called', () => {
    const mesh = withHeaders({ Authorization: 'Bearer secret' });
    const reason = 'requests that this policy matches are denied: header values of provider "ext" are not published to other namespaces';
    expect(secretsOf(custom('foo'), mesh)).to.deep.equal([`spec.provider.name: ${reason}`]);
    expect(secretsOf(custom('istio-system'), mesh)).to.deep.equal([`spec.provider.name: outside the root namespace, ${reason}`]);
  });

  it('accepts header values that are public, in any case, and policies of other actions', () => {
    const mesh = { ...withHeaders({ 'X-Source': 'mesh' }), publicCheckHeaders: ['x-source'] };
    expect(secretsOf(custom('foo'), mesh)).to.deep.equal([]);
    expect(secretsOf(custom('foo'), withHeaders({}))).to.deep.equal([]);
    expect(secretsOf(custom('foo', 'DENY'), withHeaders({ a: 'b' }))).to.deep.equal([]);
  });
});
