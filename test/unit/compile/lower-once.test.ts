import { expect } from 'chai';
import fc from 'fast-check';
import type { AuthorizationPolicy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import { canonicalJson, canonicalJsonOfParts, keepCanonicalJson } from '../../../src/bundle/canonical-json.ts';
import { createBoundedCache } from '../../../src/compile/lower-once.ts';
import { type LowerResult, lowerPolicies } from '../../../src/policy/lower/lower-policies.ts';

function policy(name: string, paths: readonly string[], action: 'ALLOW' | 'DENY' = 'ALLOW'): AuthorizationPolicy {
  return {
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'foo', name },
    spec: { action, rules: [{ to: [{ operation: { paths } }], from: [{ source: { principals: ['cluster.local/ns/a/sa/b'] } }] }] },
  };
}

function lower(
  policies: readonly AuthorizationPolicy[],
  cache?: ReturnType<typeof createBoundedCache>,
  trustDomain = 'cluster.local',
): LowerResult {
  const mesh = { ...DEFAULT_MESH_CONFIG, trustDomain };
  return lowerPolicies({ namespace: 'foo', policies, mesh, keySetId: () => 'id', ...(cache === undefined ? {} : { cache }) });
}

describe('lowering with a cache', () => {
  const good = policy('good', ['/a']);
  const faulty = policy('faulty', ['/{**}/{*', '/b'], 'DENY');

  it('gives the same programs and findings as without, the first time and later', () => {
    const cache = createBoundedCache();
    const expected = lower([good, faulty]);
    expect(expected.findings).to.have.length.greaterThan(0);
    for (let round = 0; round < 3; round += 1) expect(lower([good, faulty], cache)).to.deep.equal(expected);
    expect(lower([faulty], cache)).to.deep.equal(lower([faulty]));
  });

  it('lowers a policy once', () => {
    const cache = createBoundedCache();
    const [first] = lower([good], cache).program.http.allow.rules;
    expect(lower([good, faulty], cache).program.http.allow.rules[0]).to.equal(first);
    expect(lower([{ ...good }], cache).program.http.allow.rules[0]).not.to.equal(first);
  });

  it('takes another trust domain into account, again and again', () => {
    const cache = createBoundedCache();
    for (let round = 0; round < 4; round += 1)
      for (const domain of ['cluster.local', 'td', 'other'])
        expect(lower([good], cache, domain)).to.deep.equal(lower([good], undefined, domain));
  });

  it('keeps no more text than allowed, and no policy that would take the place of most others', () => {
    const cache = createBoundedCache(20_000);
    for (let at = 0; at < 200; at += 1) {
      lower([policy(`p${at}`, ['/a'])], cache);
      expect(cache.characters()).to.be.at.most(20_000);
    }
    expect(cache.characters()).to.be.greaterThan(15_000);

    const kept = cache.characters();
    lower(
      [
        policy(
          'large',
          Array.from({ length: 1_000 }, (_, at) => `/path-${at}`),
        ),
      ],
      cache,
    );
    expect(cache.characters()).to.equal(kept);
  });

  it('keeps the policies that were used last', () => {
    const cache = createBoundedCache(20_000);
    const [first] = lower([good], cache).program.http.allow.rules;
    for (let at = 0; at < 200; at += 1) {
      lower([policy(`p${at}`, ['/a'])], cache);
      expect(lower([good], cache).program.http.allow.rules[0]).to.equal(first);
    }
  });
});

describe('canonicalJsonOfParts', () => {
  it('is the canonical form, whichever parts were kept', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue(), (value, part) => {
        const whole = { z: value, a: [part, undefined, { part, absent: undefined }], __proto__: null, ['__proto__x']: 1 };
        const expected = canonicalJson(whole);
        expect(canonicalJsonOfParts(whole)).to.equal(expected);
        if (typeof part === 'object' && part !== null) keepCanonicalJson(part);
        expect(canonicalJsonOfParts(whole)).to.equal(expected);
      }),
    );
  });
});
