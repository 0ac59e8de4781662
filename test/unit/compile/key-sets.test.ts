/* Ids of key sets and their collection. */
import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import type { JwtRule, RequestAuthentication } from '../../../src/api/istio/resources.ts';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { keySetId } from '../../../src/compile/key-set-id.ts';
import { type CollectedKeySets, collectKeySets } from '../../../src/compile/key-sets.ts';
import { tokens } from '../resolve/policies.ts';

const JWKS = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0' }] });
const remote: KeySet = { source: 'https://a/keys', keys: [{ kty: 'RSA', n: 'x', e: 'AQAB' }] };

describe('keySetId', () => {
  it('depends only on where the keys come from', () => {
    const id = keySetId({ issuer: 'i', jwksUri: 'https://a/keys' });

    expect(id).to.match(/^remote-[0-9a-f]{16}$/);
    expect(keySetId({ issuer: 'i', jwksUri: 'https://a/keys', audiences: ['x'], timeoutMs: 1 })).to.equal(id);
    expect(keySetId({ issuer: 'j', jwksUri: 'https://a/keys' })).to.not.equal(id);
    expect(keySetId({ issuer: 'i', jwksUri: 'https://b/keys' })).to.not.equal(id);
    expect(keySetId({ issuer: 'i' })).to.not.equal(id);
  });

  it('depends on the inline keys when there are any', () => {
    const id = keySetId({ issuer: 'i', jwks: JWKS });

    expect(id).to.match(/^inline-[0-9a-f]{16}$/);
    expect(keySetId({ issuer: 'j', jwksUri: 'https://a/keys', jwks: JWKS })).to.equal(id);
    expect(keySetId({ issuer: 'i', jwks: '' })).to.equal(keySetId({ issuer: 'i' }));
  });
});

describe('collectKeySets', () => {
  it('collects inline keys from the rule and others from the cache, sorted, without duplicates', () => {
    const inline = { issuer: 'i', jwks: JWKS };
    const fetched = { issuer: 'i', jwksUri: 'https://a/keys' };
    const asked: unknown[] = [];
    const { keySets, findings } = collectKeySets([tokens('a', [fetched, inline]), tokens('b', [inline])], {
      namespace: 'foo',
      keySetOf: (rule, namespace) => {
        asked.push([rule, namespace]);
        return remote;
      },
    });

    expect(asked).to.deep.equal([[fetched, 'foo']]);
    expect(Object.keys(keySets)).to.deep.equal([keySetId(inline), keySetId(fetched)]);
    expect(keySets[keySetId(fetched)]).to.equal(remote);
    expect(keySets[keySetId(inline)]).to.deep.include({ source: 'inline' });
    expect(findings).to.deep.equal([]);
  });

  it('omits key sets without keys and reports rule and policy', () => {
    const rules = [{ issuer: 'i', jwks: 'no keys' }, { issuer: 'i', jwksUri: 'https://down/keys' }, { issuer: 'https://discovered' }];
    const { keySets, findings } = collectKeySets([tokens('ra', rules)], { namespace: 'foo', keySetOf: () => undefined });

    expect(keySets).to.deep.equal({});
    expect(findings.map(({ code, severity, path, policy }) => [code, severity, path, policy])).to.deep.equal([
      ['SP_JWKS', 'warning', 'spec.jwtRules[0].jwks', { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra' }],
      ['SP_JWKS_UNAVAILABLE', 'warning', 'spec.jwtRules[1].jwksUri', { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra' }],
      ['SP_JWKS_UNAVAILABLE', 'warning', 'spec.jwtRules[2].issuer', { kind: 'RequestAuthentication', namespace: 'foo', name: 'ra' }],
    ]);
  });

  it('reports the keys of an inline set that are not used, next to those that are', () => {
    const odd = Array.from({ length: 5 }, (_, index) => ({ kty: 'x', kid: `odd-${index}` }));
    const jwks = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0' }, ...odd] });
    const { keySets, findings } = collectKeySets([tokens('ra', [{ issuer: 'i', jwks }])], { namespace: 'foo', keySetOf: () => undefined });

    expect(Object.values(keySets).map(({ keys }) => keys.length)).to.deep.equal([1]);
    expect(findings).to.have.length(1);
    expect(findings[0]).to.deep.include({ code: 'SP_JWKS', severity: 'warning', path: 'spec.jwtRules[0].jwks' });
    expect(findings[0]?.message).to.match(/^keys of the set are not used: keys\[1\] \(kid "odd-0"\): .*; and 2 more$/);
  });

  it('omits an empty key set', () => {
    const sources = { namespace: 'foo', keySetOf: () => ({ source: 'x', keys: [] }) };
    expect(collectKeySets([tokens('ra', [{ issuer: 'i' }])], sources).keySets).to.deep.equal({});
  });
});

describe('collectKeySets, about secrets of other namespaces', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicKey = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'public' };
  const secret = { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0', kid: 'secret' };
  const mixed = { issuer: 'i', jwks: JSON.stringify({ keys: [publicKey, secret] }) };
  const only = { issuer: 'i', jwks: JSON.stringify({ keys: [secret] }) };
  const ofRoot = (rule: JwtRule): RequestAuthentication => tokens('root', [rule], { namespace: 'istio-system' });
  const collect = (policies: readonly RequestAuthentication[], namespace: string | undefined = 'foo'): CollectedKeySets =>
    collectKeySets(policies, { namespace, keySetOf: () => undefined });
  const kids = (collected: CollectedKeySets): readonly unknown[] =>
    Object.values(collected.keySets).flatMap(({ keys }) => keys.map((key) => key['kid']));

  it('leaves out symmetric keys and keeps public ones', () => {
    const collected = collect([ofRoot(mixed)]);
    expect(kids(collected)).to.deep.equal(['public']);
    expect(JSON.stringify(collected)).not.to.include(secret.k);
    expect(collected.findings).to.deep.equal([
      {
        policy: { kind: 'RequestAuthentication', namespace: 'istio-system', name: 'root' },
        code: 'SP_SECRET',
        severity: 'warning',
        path: 'spec.jwtRules[0].jwks',
        message:
          'symmetric keys are not published to other namespaces, where everyone who may read ConfigMaps could forge tokens with them',
        hint: 'tokens signed with them are refused with 401 there; use asymmetric keys, or a policy in each namespace',
      },
    ]);
  });

  it('has no key set for a rule with nothing else, so that its tokens are refused', () => {
    const collected = collect([ofRoot(only)]);
    expect(collected.keySets).to.deep.equal({});
    expect(collected.findings.map(({ code }) => code)).to.deep.equal(['SP_SECRET']);
  });

  it('keeps symmetric keys in their own namespace, and in bundles that are not published', () => {
    expect(kids(collect([ofRoot(mixed)], 'istio-system'))).to.deep.equal(['public', 'secret']);
    expect(kids(collectKeySets([ofRoot(mixed)], { namespace: undefined, keySetOf: () => undefined }))).to.deep.equal(['public', 'secret']);
    expect(collect([ofRoot(mixed)], 'istio-system').findings).to.deep.equal([]);
  });

  it('keeps the keys of a policy of the namespace when a foreign one has the same', () => {
    for (const policies of [
      [ofRoot(mixed), tokens('own', [mixed])],
      [tokens('own', [mixed]), ofRoot(mixed)],
    ]) {
      expect(kids(collect(policies))).to.deep.equal(['public', 'secret']);
    }
  });

  it('never contains private parts of asymmetric keys', () => {
    const privateKeys = [
      rsa.privateKey.export({ format: 'jwk' }),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
      generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
    ];
    const rule = { issuer: 'i', jwks: JSON.stringify({ keys: privateKeys }) };
    for (const namespace of ['foo', 'istio-system', undefined]) {
      const { keySets } = collectKeySets([ofRoot(rule)], { namespace, keySetOf: () => undefined });
      const members = new Set(Object.values(keySets).flatMap(({ keys }) => keys.flatMap((key) => Object.keys(key))));
      expect([...members].sort()).to.deep.equal(['crv', 'e', 'kty', 'n', 'x', 'y']);
    }
  });
});
