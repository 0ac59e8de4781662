/* Names of workloads and bundles. */
import { expect } from 'chai';
import { workloadKey } from '../../../../src/api/kube/keys.ts';
import { projectPod } from '../../../../src/api/kube/slim.ts';
import {
  bundleName,
  hasAgent,
  workloadLabelValue,
  workloadNameOf,
  workloadNameOfOwner,
  workloadOf,
} from '../../../../src/api/kube/workload.ts';
import { injected } from '../../../support/guarded-pods.ts';

const hash = { 'pod-template-hash': '6b8c9f' };
const NAMES = [
  ['a Deployment', { name: 'httpbin-6b8c9f-x', labels: hash, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } }, 'httpbin'],
  [
    'a pod without a name yet',
    { name: '', generateName: 'httpbin-6b8c9f-', labels: hash, owner: { kind: 'ReplicaSet', name: 'httpbin-6b8c9f' } },
    'httpbin',
  ],
  ['a bare ReplicaSet', { name: 'x', labels: {}, owner: { kind: 'ReplicaSet', name: 'web-1' } }, 'web-1'],
  [
    'a ReplicaSet with a stray hash label',
    { name: 'x', labels: { 'pod-template-hash': 'zzz' }, owner: { kind: 'ReplicaSet', name: 'web-1' } },
    'web-1',
  ],
  [
    'a ReplicaSet with an empty hash label',
    { name: 'x', labels: { 'pod-template-hash': '' }, owner: { kind: 'ReplicaSet', name: 'web-' } },
    'web-',
  ],
  ['a Rollout', { name: 'x', labels: { 'rollouts-pod-template-hash': 'abc' }, owner: { kind: 'ReplicaSet', name: 'web-abc' } }, 'web'],
  ['a StatefulSet', { name: 'db-0', labels: {}, owner: { kind: 'StatefulSet', name: 'db' } }, 'db'],
  ['a DaemonSet', { name: 'log-x', labels: {}, owner: { kind: 'DaemonSet', name: 'log' } }, 'log'],
  ['a CronJob', { name: 'x', labels: {}, owner: { kind: 'Job', name: 'backup-29384756' } }, 'backup'],
  ['a Job', { name: 'x', labels: {}, owner: { kind: 'Job', name: 'migrate-7' } }, 'migrate-7'],
  ['an owner of a custom kind', { name: 'x', labels: {}, owner: { kind: 'Widget', name: 'w' } }, 'w'],
  ['a bare pod', { name: 'solo', labels: {} }, 'solo'],
  ['a bare pod with a generated name', { name: 'solo-x7c2p', generateName: 'solo-', labels: {} }, 'solo'],
  ['a static pod', { name: 'etcd-node-1', labels: {}, owner: { kind: 'Node', name: 'node-1' } }, 'etcd-node-1'],
] as const;

describe('workloadNameOf', () => {
  for (const [what, pod, expected] of NAMES) {
    it(`returns the workload of ${what}`, () => {
      expect(workloadNameOf(pod)).to.equal(expected);
    });
  }

  it('returns the same name before and after a pod exists', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', uid: 'u', controller: true };
    const template = {
      metadata: { namespace: 'foo', generateName: 'web-abc-', labels: { 'pod-template-hash': 'abc' }, ownerReferences: [owner] },
    };
    const created = { metadata: { ...template.metadata, name: 'web-abc-12345' } };

    expect(workloadOf(projectPod(template))).to.deep.equal({ namespace: 'foo', name: 'web' });
    expect(workloadOf(projectPod(created))).to.deep.equal({ namespace: 'foo', name: 'web' });
    expect(workloadKey(workloadOf(projectPod(created)))).to.equal('foo/web');
  });
});

describe('workloadNameOfOwner', () => {
  it('returns the name that is computed from a pod of the owner', () => {
    expect(workloadNameOfOwner('Deployment', 'a-12345678')).to.equal('a-12345678');
    expect(workloadNameOfOwner('CronJob', 'a')).to.equal('a');
    expect(workloadNameOfOwner('Job', 'a-12345678')).to.equal('a');
  });
});

describe('bundleName and workloadLabelValue', () => {
  it('keep names that fit', () => {
    expect(bundleName('httpbin')).to.equal('sallyport-bundle-httpbin');
    expect(bundleName('a'.repeat(243))).to.have.length(253);
    expect(workloadLabelValue('a'.repeat(63))).to.equal('a'.repeat(63));
  });

  it('shorten longer names to distinct names', () => {
    const [one, other] = [bundleName(`${'a'.repeat(252)}b`), bundleName(`${'a'.repeat(252)}c`)];

    expect(one).to.have.length(253).and.not.equal(other);
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
