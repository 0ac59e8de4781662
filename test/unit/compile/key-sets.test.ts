/* Ids of key sets and their collection. */
import { expect } from 'chai';
import type { KeySet } from '../../../src/bundle/bundle.ts';
import { keySetId } from '../../../src/compile/key-set-id.ts';
import { collectKeySets } from '../../../src/compile/key-sets.ts';
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
    const { keySets, findings } = collectKeySets([tokens('a', [fetched, inline]), tokens('b', [inline])], (rule) => {
      asked.push(rule);
      return remote;
    });

    expect(asked).to.deep.equal([fetched]);
    expect(Object.keys(keySets)).to.deep.equal([keySetId(inline), keySetId(fetched)]);
    expect(keySets[keySetId(fetched)]).to.equal(remote);
    expect(keySets[keySetId(inline)]).to.deep.include({ source: 'inline' });
    expect(findings).to.deep.equal([]);
  });

  it('omits key sets without keys and reports rule and policy', () => {
    const rules = [{ issuer: 'i', jwks: 'no keys' }, { issuer: 'i', jwksUri: 'https://down/keys' }, { issuer: 'https://discovered' }];
    const { keySets, findings } = collectKeySets([tokens('ra', rules)], () => undefined);

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
    const { keySets, findings } = collectKeySets([tokens('ra', [{ issuer: 'i', jwks }])], () => undefined);

    expect(Object.values(keySets).map(({ keys }) => keys.length)).to.deep.equal([1]);
    expect(findings).to.have.length(1);
    expect(findings[0]).to.deep.include({ code: 'SP_JWKS', severity: 'warning', path: 'spec.jwtRules[0].jwks' });
    expect(findings[0]?.message).to.match(/^keys of the set are not used: keys\[1\] \(kid "odd-0"\): .*; and 2 more$/);
  });

  it('omits an empty key set', () => {
    expect(collectKeySets([tokens('ra', [{ issuer: 'i' }])], () => ({ source: 'x', keys: [] })).keySets).to.deep.equal({});
  });
});
