/* In which network namespaces a redirect is set. */
import { expect } from 'chai';
import { parseRedirect } from '../../../src/inject/redirect/rules.ts';
import type { WaitingPod } from '../../../src/node-redirect/node-pod.ts';
import { planRedirects, REPEAT_MS, type ReadNamespace } from '../../../src/node-redirect/plan-redirects.ts';

const redirect = parseRedirect(['--all', '15006']);
const pod = (uid: string, ...addresses: readonly string[]): WaitingPod => ({ uid, name: `foo/${uid}`, addresses, redirect });
const space = (key: string, waiting: readonly string[], ...addresses: readonly string[]): ReadNamespace => ({
  key,
  path: `/netns/${key}`,
  content: { addresses: new Set(['127.0.0.1', ...addresses]), hasIpv6: false, waiting, isCrowded: false },
});

function planned(
  pods: readonly WaitingPod[],
  namespaces: readonly ReadNamespace[],
  attempts: object = {},
  nowMs = 10_000,
): readonly string[] {
  const tasks = planRedirects(pods, namespaces, { attempts: new Map(Object.entries(attempts)), nowMs });
  return tasks.map((task) => `${task.pod.uid} in ${task.namespace.key}`);
}

describe('planRedirects', () => {
  const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      'the namespace with the addresses of a pod, in which it waits',
      planned([pod('a', '10.0.0.1')], [space('n', ['a'], '10.0.0.1')]),
      ['a in n'],
    ],
    [
      'the namespace with the addresses of both families',
      planned([pod('a', '10.0.0.1', 'fd00::1')], [space('n', ['a'], '10.0.0.1', 'fd00::1', 'fe80::1')]),
      ['a in n'],
    ],
    [
      'each of several pods, in its own namespace',
      planned([pod('a', '10.0.0.1'), pod('b', '10.0.0.2')], [space('m', ['b'], '10.0.0.2'), space('n', ['a'], '10.0.0.1')]),
      ['b in m', 'a in n'],
    ],
    ['nothing while no init container waits', planned([pod('a', '10.0.0.1')], [space('n', [], '10.0.0.1')]), []],
    ['nothing while the kubelet has reported no address', planned([pod('a')], [space('n', ['a'], '10.0.0.1')]), []],
    ['nothing while an address is missing', planned([pod('a', '10.0.0.1', 'fd00::1')], [space('n', ['a'], '10.0.0.1')]), []],
    [
      'nothing for another pod that has the address of one that is gone',
      planned([pod('a', '10.0.0.1')], [space('n', ['b'], '10.0.0.1')]),
      [],
    ],
    [
      'nothing in the namespace of a pod that only says to be another one',
      planned([pod('a', '10.0.0.1')], [space('n', ['a'], '10.0.0.9')]),
      [],
    ],
    [
      'both namespaces when a pod has taken the address and the name of another one, which then still starts',
      planned([pod('a', '10.0.0.1')], [space('false', ['a'], '10.0.0.1'), space('true', ['a'], '10.0.0.1')]),
      ['a in false', 'a in true'],
    ],
  ];
  for (const [name, found, expected] of rows) {
    it(`plans ${name}`, () => {
      expect(found).to.deep.equal(expected);
    });
  }

  it('does not repeat what was just done in a namespace, and does when the pod still waits', () => {
    const args = [[pod('a', '10.0.0.1')], [space('n', ['a'], '10.0.0.1')], { n: { uid: 'a', atMs: 10_000, count: 1 } }] as const;

    expect(planned(...args, 10_000 + REPEAT_MS - 1)).to.deep.equal([]);
    expect(planned(...args, 10_000 + REPEAT_MS)).to.deep.equal(['a in n']);
  });

  const pauses = [1, 2, 3, 4, 5, 6, 100].map((count) => {
    const attempts = { n: { uid: 'a', atMs: 10_000, count } };
    const isPlannedAfter = (ms: number): boolean =>
      planned([pod('a', '10.0.0.1')], [space('n', ['a'], '10.0.0.1')], attempts, 10_000 + ms).length > 0;
    return [2_000, 4_000, 8_000, 16_000, 32_000, 60_000].find((ms) => isPlannedAfter(ms) && !isPlannedAfter(ms - 1));
  });

  it('waits longer after each attempt, up to a minute', () => {
    expect(pauses).to.deep.equal([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('gives the first turns to namespaces without an attempt, and then to those whose attempt is the oldest', () => {
    const names = ['a', 'b', 'c', 'd'];
    const pods = names.map((name, at) => pod(name, `10.0.0.${at}`));
    const namespaces = names.map((name, at) => space(name, [name], `10.0.0.${at}`));
    const attempts = {
      a: { uid: 'a', atMs: 3_000, count: 1 },
      b: { uid: 'b', atMs: 1_000, count: 1 },
      c: { uid: 'c', atMs: 2_000, count: 1 },
    };

    expect(planned(pods, namespaces, attempts)).to.deep.equal(['d in d', 'b in b', 'c in c', 'a in a']);
  });

  it('sets the redirect again in another namespace of the same pod, whose sandbox was created again', () => {
    expect(planned([pod('a', '10.0.0.1')], [space('new', ['a'], '10.0.0.1')], { old: { uid: 'a', atMs: 10_000, count: 1 } })).to.deep.equal(
      ['a in new'],
    );
  });

  it('sets the redirect of another pod in a namespace without a pause', () => {
    expect(planned([pod('b', '10.0.0.1')], [space('n', ['b'], '10.0.0.1')], { n: { uid: 'a', atMs: 10_000, count: 1 } })).to.deep.equal([
      'b in n',
    ]);
  });
});
