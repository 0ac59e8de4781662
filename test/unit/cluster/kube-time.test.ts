/* Timestamps in the formats of Kubernetes. */
import { expect } from 'chai';
import { kubeTime, microTime } from '../../../src/cluster/kube-time.ts';

describe('kubeTime and microTime', () => {
  it('format dates like Kubernetes', () => {
    const atMs = Date.UTC(2026, 10, 23, 21, 33, 0, 120);
    expect(microTime(atMs)).to.equal('2026-11-23T21:33:00.120000Z');
    expect(kubeTime(atMs)).to.equal('2026-11-23T21:33:00Z');
  });
});
