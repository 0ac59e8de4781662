/* Which pods of a node wait for their redirect. */
import { expect } from 'chai';
import { createPodProjection, type WaitingPod } from '../../../src/node-redirect/node-pod.ts';

const ARGS = ['wait', '--all', '15006', '--exclude', '15020', '--only', '8080'];

function pod({ args = ARGS as readonly string[], metadata = {}, spec = {}, status = {} } = {}): Record<string, unknown> {
  return {
    metadata: { namespace: 'foo', name: 'web', uid: 'u1', ...metadata },
    spec: { initContainers: [{ name: 'first' }, { name: 'sallyport-init', args }], ...spec },
    status: { phase: 'Pending', podIPs: [{ ip: '10.0.0.7' }, { ip: 'fd00::7' }], ...status },
  };
}

const projectWaitingPod = (raw: Record<string, unknown>): WaitingPod | undefined => createPodProjection(() => undefined)(raw);
const stateOf = (state: object): object => ({ initContainerStatuses: [{ name: 'sallyport-init', state }] });

describe('projectWaitingPod', () => {
  it('has the addresses of both families and the redirect that the arguments say', () => {
    expect(projectWaitingPod(pod())).to.deep.equal({
      uid: 'u1',
      name: 'foo/web',
      addresses: ['10.0.0.7', 'fd00::7'],
      redirect: { maps: [], excluded: [15_020], rest: 15_006, only: [8080], ipv6: 'auto' },
    });
  });

  it('has no address before the kubelet reported one', () => {
    expect(projectWaitingPod(pod({ status: { podIPs: undefined } }))?.addresses).to.deep.equal([]);
  });

  const waiting: readonly (readonly [string, Parameters<typeof pod>[0]])[] = [
    ['runs', { status: stateOf({ running: {} }) }],
    ['failed, and starts again', { status: stateOf({ terminated: { exitCode: 1 } }) }],
    ['waits to start in another sandbox', { status: stateOf({ waiting: { reason: 'PodInitializing' } }) }],
  ];
  for (const [name, wish] of waiting) {
    it(`waits while its init container ${name}`, () => {
      expect(projectWaitingPod(pod(wish))?.uid).to.equal('u1');
    });
  }

  const others: readonly (readonly [string, Record<string, unknown>])[] = [
    ['its init container has seen the redirect', pod({ status: stateOf({ terminated: { exitCode: 0 } }) })],
    ['it redirects by itself', pod({ args: ['redirect', ...ARGS.slice(1)] })],
    ['it has no init container', pod({ spec: { initContainers: undefined } })],
    ['it has no agent', pod({ spec: { initContainers: [{ name: 'other', args: ARGS }] } })],
    ['it is being deleted', pod({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })],
    ['it has failed', pod({ status: { phase: 'Failed' } })],
    ['it has succeeded', pod({ status: { phase: 'Succeeded' } })],
    ['it is on the host network, whose rules are those of the node', pod({ spec: { hostNetwork: true } })],
    ['nothing in it has the expected type', { metadata: 7, spec: [], status: 'x' }],
  ];
  for (const [name, raw] of others) {
    it(`does not wait when ${name}`, () => {
      expect(projectWaitingPod(raw)).to.equal(undefined);
    });
  }

  it('reports arguments of which no redirect can be made, and ignores the pod', () => {
    const reports: string[] = [];
    const project = createPodProjection((...report) => reports.push(report.join(': ')));

    expect(project(pod({ args: ['wait', '--all', '0'] }))).to.equal(undefined);
    expect(reports).to.deep.equal(['foo/web: --all: "0" is not a port']);
  });

  it('reports each pod once, however often it changes, and only the start of what it says', () => {
    const reports: string[] = [];
    const project = createPodProjection((_, reason) => reports.push(reason));
    const args = ['wait', '--all', 'x'.repeat(1_000_000)];

    for (let at = 0; at < 10; at++) project(pod({ args, metadata: { resourceVersion: String(at) } }));
    project(pod({ args, metadata: { uid: 'u2' } }));

    expect(reports.map((reason) => reason.length)).to.deep.equal([200, 200]);
  });

  it('does not parse the arguments of a pod again, and forgets the first of many pods', () => {
    const project = createPodProjection(() => undefined);
    const redirectOf = (uid: string): unknown => project(pod({ metadata: { uid } }))?.redirect;
    const first = redirectOf('u1');

    expect(redirectOf('u1')).to.equal(first);
    for (let at = 0; at < 600; at++) redirectOf(`other-${at}`);
    expect(redirectOf('u1')).to.deep.equal(first);
    expect(redirectOf('u1')).to.not.equal(first);
  });
});
