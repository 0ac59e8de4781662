/* Pods whose agents would not take our bundles do not count as guarded; what is known of the keys may change at any time. */
import { expect } from 'chai';
import { projectPod, type SlimPod } from '../../../src/api/kube/slim.ts';
import { hasAgent } from '../../../src/api/kube/workload.ts';
import type { Signer } from '../../../src/bundle/signer.ts';
import { createTrustedPods } from '../../../src/controller/trusted-pods.ts';
import { mintKeys, rotateRoot, signerOf } from '../../../src/keys/signing-keys.ts';
import { createClusterState } from '../../../src/state/cluster-state.ts';
import { injected } from '../../support/guarded-pods.ts';
import { CLUSTER, KEYS, SIGNER } from '../../support/signing.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const STRANGER = signerOf(mintKeys(CLUSTER, NOW_MS));

function podOf(name: string, trust: { readonly anchor: string; readonly floor?: number }): SlimPod {
  const raw = { metadata: { namespace: 'shop', name }, spec: { containers: [{ name: 'app', ports: [{ containerPort: 8080 }] }] } };
  return projectPod(injected(raw, { floor: 0, ...trust }));
}

function setUp() {
  const clusterState = createClusterState(() => ({ rootNamespace: 'istio-system' }) as never);
  const known: { signer: Signer | undefined; number: number } = { signer: SIGNER, number: 0 };
  const { pods } = clusterState;
  const trusted = createTrustedPods({ pods, signer: () => known.signer, numberOf: () => known.number, wallMs: () => NOW_MS });
  const stored = (name: string): SlimPod | undefined => pods.get(`shop/${name}`);
  return {
    known,
    trusted,
    put: (name: string, trust: Parameters<typeof podOf>[1]) => trusted.sink.upsert(`shop/${name}`, podOf(name, trust)),
    isGuarded: (name: string): boolean => hasAgent(stored(name) as SlimPod),
    faultOf: (name: string): string | undefined => stored(name)?.agentFault,
    stored,
  };
}

describe('createTrustedPods', () => {
  it('lets agents pass that trust our root key, and pods without agents', () => {
    const at = setUp();
    at.put('web', { anchor: SIGNER.anchor });
    const bare = projectPod({ metadata: { namespace: 'shop', name: 'bare' }, spec: { containers: [{ name: 'app' }] } });
    at.trusted.sink.upsert('shop/bare', bare);

    expect([at.isGuarded('web'), at.faultOf('web')]).to.deep.equal([true, undefined]);
    expect(at.stored('bare')).to.equal(bare);
  });

  it('does not count an agent that trusts the root key of others', () => {
    const at = setUp();
    at.put('web', { anchor: STRANGER.anchor });

    expect(at.isGuarded('web')).to.equal(false);
    expect(at.faultOf('web')).to.equal(
      'container sallyport-agent: env SALLYPORT_TRUST_ANCHOR has a root key that is not of this installation; replace the pod',
    );
  });

  it('compares nothing before the keys are known, and remembers them while they are missing', () => {
    const at = setUp();
    at.known.signer = undefined;
    at.put('web', { anchor: STRANGER.anchor });
    expect(at.isGuarded('web')).to.equal(true);

    at.known.signer = SIGNER;
    at.trusted.compareAgain();
    expect(at.isGuarded('web')).to.equal(false);

    at.known.signer = undefined;
    at.trusted.compareAgain();
    at.put('late', { anchor: STRANGER.anchor });
    expect([at.isGuarded('web'), at.isGuarded('late')]).to.deep.equal([false, false]);
  });

  it('follows rotations and resets of the keys', () => {
    const at = setUp();
    at.put('web', { anchor: SIGNER.anchor });
    at.known.signer = signerOf(rotateRoot(KEYS, NOW_MS));
    at.trusted.compareAgain();
    expect(at.isGuarded('web')).to.equal(true);

    at.known.signer = STRANGER;
    at.trusted.compareAgain();
    expect(at.isGuarded('web')).to.equal(false);

    at.known.signer = SIGNER;
    at.trusted.compareAgain();
    expect([at.isGuarded('web'), at.faultOf('web')]).to.deep.equal([true, undefined]);
  });

  it('does not bring back pods that were removed or replaced', () => {
    const at = setUp();
    at.put('web', { anchor: SIGNER.anchor });
    at.put('gone', { anchor: SIGNER.anchor });
    at.trusted.sink.remove('shop/gone');
    at.trusted.sink.replace(new Map([['shop/other', podOf('other', { anchor: SIGNER.anchor })]]), '1');
    at.trusted.compareAgain();

    expect([at.stored('web'), at.stored('gone')]).to.deep.equal([undefined, undefined]);
    expect(at.isGuarded('other')).to.equal(true);
  });

  it('does not count an agent that refuses every bundle because of its floor', () => {
    const at = setUp();
    at.put('now', { anchor: SIGNER.anchor, floor: NOW_MS + HOUR_MS });
    at.put('frozen', { anchor: SIGNER.anchor, floor: NOW_MS + HOUR_MS + 1 });

    expect([at.isGuarded('now'), at.isGuarded('frozen')]).to.deep.equal([true, false]);
    expect(at.faultOf('frozen')).to.contain('env SALLYPORT_BUNDLE_FLOOR is above the number of any bundle');
  });

  it('counts a floor above the clock when a bundle with that number is published', () => {
    const at = setUp();
    at.put('web', { anchor: SIGNER.anchor, floor: NOW_MS + 24 * HOUR_MS });
    expect(at.isGuarded('web')).to.equal(false);

    at.known.number = NOW_MS + 24 * HOUR_MS;
    at.trusted.compareAgain();
    expect(at.isGuarded('web')).to.equal(true);
  });
});
