/* Names of workloads and bundles. */
import { expect } from 'chai';
import { workloadKey } from '../../../../src/api/kube/keys.ts';
import { projectPod } from '../../../../src/api/kube/slim.ts';
import {
  hasAgent,
  legacyBundleName,
  slotName,
  workloadIdOf,
  workloadIdOfOwner,
  workloadLabelValue,
  workloadOf,
} from '../../../../src/api/kube/workload.ts';
import { injected } from '../../../support/guarded-pods.ts';

const hash = { 'pod-template-hash': '6b8c9f' };
const NAMES = [
  [
    'a Deployment',
    { name: 'httpbin-6b8c9f-x', labels: hash, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } },
    'deployment',
    'httpbin',
  ],
  [
    'a pod without a name yet',
    { name: '', generateName: 'httpbin-6b8c9f-', labels: hash, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } },
    'deployment',
    'httpbin',
  ],
  ['a bare ReplicaSet', { name: 'x', labels: {}, owner: { kind: 'ReplicaSet', name: 'web-1' } }, 'replicaset', 'web-1'],
  [
    'a ReplicaSet with a stray hash label',
    { name: 'x', labels: { 'pod-template-hash': 'zzz' }, owner: { kind: 'ReplicaSet', name: 'web-1' } },
    'replicaset',
    'web-1',
  ],
  [
    'a ReplicaSet with an empty hash label',
    { name: 'x', labels: { 'pod-template-hash': '' }, owner: { kind: 'ReplicaSet', name: 'web-' } },
    'replicaset',
    'web-',
  ],
  [
    'a Rollout',
    { name: 'x', labels: { 'rollouts-pod-template-hash': 'abc' }, owner: { kind: 'ReplicaSet', name: 'web-abc' } },
    'rollout',
    'web',
  ],
  ['a StatefulSet', { name: 'db-0', labels: {}, owner: { kind: 'StatefulSet', name: 'db' } }, 'statefulset', 'db'],
  ['a DaemonSet', { name: 'log-x', labels: {}, owner: { kind: 'DaemonSet', name: 'log' } }, 'daemonset', 'log'],
  ['a CronJob', { name: 'x', labels: {}, owner: { kind: 'Job', name: 'backup-29384756' } }, 'cronjob', 'backup'],
  ['a Job', { name: 'x', labels: {}, owner: { kind: 'Job', name: 'migrate-7' } }, 'job', 'migrate-7'],
  ['an owner of a custom kind', { name: 'x', labels: {}, owner: { kind: 'Widget', name: 'w' } }, 'widget', 'w'],
  ['a bare pod', { name: 'solo', labels: {} }, 'pod', 'solo'],
  ['a bare pod with a generated name', { name: 'solo-x7c2p', generateName: 'solo-', labels: {} }, 'pod', 'solo'],
  ['a static pod', { name: 'etcd-node-1', labels: {}, owner: { kind: 'Node', name: 'node-1' } }, 'pod', 'etcd-node-1'],
] as const;

describe('workloadIdOf', () => {
  for (const [what, pod, kind, name] of NAMES) {
    it(`returns the workload of ${what}`, () => {
      expect(workloadIdOf(pod)).to.deep.equal({ kind, name });
    });
  }

  it('returns the same name before and after a pod exists', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', uid: 'u', controller: true };
    const template = {
      metadata: { namespace: 'foo', generateName: 'web-abc-', labels: { 'pod-template-hash': 'abc' }, ownerReferences: [owner] },
    };
    const created = { metadata: { ...template.metadata, name: 'web-abc-12345' } };

    expect(workloadOf(projectPod(template))).to.deep.equal({ namespace: 'foo', kind: 'deployment', name: 'web' });
    expect(workloadOf(projectPod(created))).to.deep.equal({ namespace: 'foo', kind: 'deployment', name: 'web' });
    expect(workloadKey(workloadOf(projectPod(created)))).to.equal('foo/deployment/web');
  });
});

describe('workloadIdOfOwner', () => {
  it('returns the name that is computed from a pod of the owner', () => {
    expect(workloadIdOfOwner('Deployment', 'a-12345678')).to.deep.equal({ kind: 'deployment', name: 'a-12345678' });
    expect(workloadIdOfOwner('CronJob', 'a')).to.deep.equal({ kind: 'cronjob', name: 'a' });
    expect(workloadIdOfOwner('Job', 'a-12345678')).to.deep.equal({ kind: 'cronjob', name: 'a' });
  });

  it('keeps a kind free of the separators of keys and object names', () => {
    expect(workloadIdOfOwner('Odd/Kind.v1', 'a')).to.deep.equal({ kind: 'odd-kind-v1', name: 'a' });
  });
});

describe('slotName and workloadLabelValue', () => {
  const pod = (name: string): { readonly kind: string; readonly name: string } => ({ kind: 'pod', name });

  it('distinguish workloads of one name and different kinds', () => {
    expect(slotName({ kind: 'deployment', name: 'shop' }, 0)).to.equal('sallyport-bundle-deployment.shop.0');
    expect(slotName({ kind: 'statefulset', name: 'shop' }, 1)).to.equal('sallyport-bundle-statefulset.shop.1');
  });

  it('keep names that fit', () => {
    expect(slotName(pod('httpbin'), 2)).to.equal('sallyport-bundle-pod.httpbin.2');
    expect(slotName(pod('a'.repeat(230)), 0)).to.have.length(253);
    expect(legacyBundleName('httpbin')).to.equal('sallyport-httpbin');
    expect(workloadLabelValue('a'.repeat(63))).to.equal('a'.repeat(63));
  });

  it('shorten longer names to distinct names', () => {
    const [one, other] = [slotName(pod(`${'a'.repeat(252)}b`), 0), slotName(pod(`${'a'.repeat(252)}c`), 0)];

    expect(one).to.have.length(253).and.not.equal(other);
    expect(one).to.match(/\.0$/);
    expect(workloadLabelValue(`${'a'.repeat(51)}.${'b'.repeat(60)}`)).to.match(/^a{51}-[0-9a-f]{10}$/);
    expect(workloadLabelValue('a'.repeat(64))).to.have.length(63);
  });
});

describe('hasAgent', () => {
  it('depends on the spec and not on the annotation that injection sets', () => {
    const bare = { metadata: { name: 'web' }, spec: { containers: [{ name: 'app', ports: [{ containerPort: 80 }] }] } };
    const pod = injected(bare);

    expect(hasAgent(projectPod(pod))).to.equal(true);
    expect(hasAgent(projectPod({ ...pod, metadata: { name: 'web' } }))).to.equal(true);
    expect(hasAgent(projectPod({ ...bare, metadata: pod['metadata'] }))).to.equal(false);
  });
});
