/* Slim forms of Pods and Namespaces. */
import { expect } from 'chai';
import { isFinished, projectNamespace, projectPod } from '../../../../src/api/kube/slim.ts';

describe('projectPod', () => {
  it('keeps only the fields that Sallyport reads', () => {
    const pod = projectPod({
      metadata: {
        namespace: 'foo',
        name: 'httpbin-6b8c9f-x2x',
        generateName: 'httpbin-6b8c9f-',
        uid: 'u',
        labels: { app: 'httpbin' },
        annotations: { 'sallyport.dev/agent': '{}', 'kubectl.kubernetes.io/restartedAt': 'x' },
        ownerReferences: [
          { apiVersion: 'v1', kind: 'Other', name: 'o', uid: 'a' },
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'httpbin-6b8c9f', uid: 'b', controller: true },
        ],
        managedFields: [{}],
      },
      spec: { serviceAccountName: 'httpbin', containers: [{}] },
      status: { phase: 'Running', podIP: '10.0.0.7', conditions: [] },
    });

    expect(pod).to.deep.equal({
      namespace: 'foo',
      name: 'httpbin-6b8c9f-x2x',
      generateName: 'httpbin-6b8c9f-',
      uid: 'u',
      labels: { app: 'httpbin' },
      annotations: { 'sallyport.dev/agent': '{}' },
      phase: 'Running',
      podIP: '10.0.0.7',
      owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'httpbin-6b8c9f', uid: 'b' },
      serviceAccount: 'httpbin',
    });
  });

  it('returns an empty pod for a value that is not a pod', () => {
    for (const thing of [undefined, null, 5, 'pod', [], {}, { metadata: 5, spec: null, status: [] }]) {
      expect(projectPod(thing)).to.deep.equal({ namespace: '', name: '', labels: {}, annotations: {} });
    }
  });

  it('drops labels that are not strings, and owners that are not controllers or have no name', () => {
    const pod = projectPod({
      metadata: { labels: { a: 1, b: 'x' }, ownerReferences: [null, { kind: 'Job', name: 'j' }, { kind: 'Job', controller: true }] },
    });

    expect(pod.labels).to.deep.equal({ b: 'x' });
    expect(pod.owner).to.equal(undefined);
  });

  it('keeps the deletion timestamp', () => {
    expect(projectPod({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }).deletionTimestamp).to.equal('2026-01-01T00:00:00Z');
  });
});

describe('isFinished', () => {
  for (const [phase, finished] of [
    ['Running', false],
    ['Pending', false],
    ['Succeeded', true],
    ['Failed', true],
  ] as const) {
    it(`returns ${finished} for phase ${phase}`, () => {
      expect(isFinished(projectPod({ status: { phase } }))).to.equal(finished);
    });
  }
});

describe('projectNamespace', () => {
  it('keeps name and labels, and whether the namespace is terminating', () => {
    expect(projectNamespace({ metadata: { name: 'foo', labels: { a: 'b' } } })).to.deep.equal({
      name: 'foo',
      labels: { a: 'b' },
      terminating: false,
    });
    expect(projectNamespace({ metadata: { name: 'foo' }, status: { phase: 'Terminating' } }).terminating).to.equal(true);
    expect(projectNamespace({ metadata: { name: 'foo', deletionTimestamp: 'x' } }).terminating).to.equal(true);
  });
});
