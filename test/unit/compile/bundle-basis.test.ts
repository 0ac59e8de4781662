/* Whether two bundles differ in more than the versions of their policies. */
import { expect } from 'chai';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG, type MeshConfig } from '../../../src/api/mesh-config.ts';
import { basisOf } from '../../../src/compile/bundle-basis.ts';
import { type CompileInput, compileWorkload } from '../../../src/compile/compile-workload.ts';
import { selectFrom } from '../../support/select-policies.ts';
import { allow, tokens } from '../resolve/policies.ts';

const issuer = tokens('ra', [{ issuer: 'i', jwksUri: 'https://a/keys' }]);
const keys =
  (n: string): CompileInput['keySetOf'] =>
  () => ({ source: 'https://a/keys', keys: [{ kty: 'RSA', n, e: 'AQAB' }] });

function basis(policies: readonly Policy[], more: Partial<CompileInput> = {}, mesh: MeshConfig = DEFAULT_MESH_CONFIG): string {
  const result = compileWorkload({
    workload: { namespace: 'foo', kind: 'deployment', name: 'web' },
    labelSets: [{ app: 'web' }],
    policiesFor: selectFrom(policies),
    mesh,
    keySetOf: keys('x'),
    ...more,
  });
  return basisOf(result, mesh);
}

describe('basisOf', () => {
  const before = basis([issuer]);

  it('is the same for other versions of policies', () => {
    const get = allow('p', {}, { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] });
    expect(basis([issuer, get])).to.equal(before);
  });

  it('differs with keys, labels of pods and mesh settings', () => {
    const byVersion = allow('v1', { labels: { version: 'v1' } });
    const others = [
      basis([issuer], { keySetOf: keys('y') }),
      basis([issuer, byVersion], { labelSets: [{ version: 'v1' }] }),
      basis([issuer, byVersion], { labelSets: [{ version: 'v1' }, { version: 'v2' }] }),
      basis([issuer], {}, { ...DEFAULT_MESH_CONFIG, trustedProxies: ['10.0.0.0/8'] }),
    ];
    expect(new Set([before, ...others]).size).to.equal(5);
  });

  it('differs when policies of the namespace give way to those of the root namespace', () => {
    const result = compileWorkload({
      workload: { namespace: 'foo', kind: 'deployment', name: 'web' },
      labelSets: [{}],
      policiesFor: selectFrom([issuer]),
      mesh: DEFAULT_MESH_CONFIG,
      keySetOf: keys('x'),
    });
    const policy = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'p' } as const;
    const finding = { policy, code: 'SP_OVER_BUDGET', severity: 'error', path: '', message: 'too large' } as const;
    expect(basisOf({ ...result, findings: [finding] }, DEFAULT_MESH_CONFIG)).to.not.equal(basisOf(result, DEFAULT_MESH_CONFIG));
  });
});
