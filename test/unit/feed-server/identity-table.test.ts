/*
 * Which addresses count in the controller's table of pods, and when.
 */
import { expect } from 'chai';
import type { SlimPod } from '../../../src/api/kube/slim.ts';
import { COLLECT_MS, HOLD_MS, IdentityTable } from '../../../src/feed-server/identity-table.ts';
import { createStore, type Store } from '../../../src/state/store.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

describe('the table of pod identities', () => {
  let clock: FakeClock;
  let pods: Store<SlimPod>;
  let table: IdentityTable;
  let changes: string[];
  const put = (name: string, over: Partial<SlimPod> = {}): void =>
    pods.upsert({
      namespace: 'shop',
      name,
      uid: `uid-${name}`,
      labels: {},
      annotations: {},
      phase: 'Running',
      podIP: '10.0.0.1',
      serviceAccount: name,
      ...over,
    });
  const remove = (name: string): void => pods.remove(`shop/${name}` as never);
  const accounts = (): readonly string[] => table.entries().map(([address, , account]) => `${address} ${account}`);
  const hold = (): void => clock.advance(HOLD_MS);

  beforeEach(() => {
    clock = createFakeClock();
    pods = createStore<SlimPod, never>({ keyOf: ({ namespace, name }) => `${namespace}/${name}` as never, indexes: {}, same: () => false });
    changes = [];
    table = new IdentityTable({
      clock,
      pods,
      onChange: ({ from, version, put: added, drop }) =>
        changes.push(`${from}>${version} +${added.map(([one]) => one).join()} -${drop.join()}`),
    });
  });
  afterEach(() => table.stop());

  it('has a running pod once it has had its address for a while', () => {
    put('a');
    clock.advance(HOLD_MS - 1);
    expect(accounts()).to.deep.equal([]);
    clock.advance(1);
    expect(accounts()).to.deep.equal(['10.0.0.1 a']);
  });

  for (const [what, over] of [
    ['that starts', { phase: 'Pending' }],
    ['of unknown phase', { phase: 'Unknown' }],
    ['that is being deleted', { deletionTimestamp: 'now' }],
    ['on the network of its node', { hostNetwork: true }],
    ['without an account', { serviceAccount: '' }],
    ['without a UID', { uid: '' }],
  ] as const) {
    it(`has no pod ${what}, nor another one with the same address`, () => {
      put('a', over);
      put('b');
      clock.advance(10 * HOLD_MS);
      expect(accounts()).to.deep.equal([]);
    });
  }

  it('ignores pods that have ended, which keep their address in their status', () => {
    put('a', { phase: 'Succeeded' });
    put('b');
    hold();
    expect(accounts()).to.deep.equal(['10.0.0.1 b']);
  });

  it('drops a pod when it is deleted, ends, moves or has company, and collects changes', () => {
    put('a');
    put('b', { podIP: '10.0.0.2' });
    hold();
    clock.advance(COLLECT_MS);
    put('a', { deletionTimestamp: 'now' });
    put('b', { podIP: '10.0.0.3' });
    expect(changes).to.deep.equal(['1>2 +10.0.0.1,10.0.0.2 -']);
    clock.advance(COLLECT_MS);
    expect(changes.slice(1)).to.deep.equal(['2>3 + -10.0.0.1,10.0.0.2']);
    hold();
    expect(accounts()).to.deep.equal(['10.0.0.3 b']);
    put('c', { podIP: '10.0.0.3' });
    expect(accounts()).to.deep.equal([]);
  });

  it('starts the time again when a pod of the same name takes the address', () => {
    put('a');
    hold();
    put('a', { uid: 'other', serviceAccount: 'other' });
    expect(accounts()).to.deep.equal([]);
    hold();
    expect(accounts()).to.deep.equal(['10.0.0.1 other']);
  });

  it('gives an address to the later of two pods when the earlier one has gone, and never back', () => {
    put('lost');
    clock.advance(10 * HOLD_MS);
    put('next');
    clock.advance(10 * HOLD_MS);
    expect(accounts()).to.deep.equal([]);
    remove('lost');
    hold();
    expect(accounts()).to.deep.equal(['10.0.0.1 next']);

    put('third');
    remove('third');
    clock.advance(10 * HOLD_MS);
    expect(accounts()).to.deep.equal([]);
  });

  it('takes neither of two pods of one list, whose order is not known', () => {
    put('one');
    put('two');
    remove('one');
    clock.advance(10 * HOLD_MS);
    expect(accounts()).to.deep.equal([]);
  });

  it('reads the pods that are there when it begins', () => {
    put('a');
    const late = new IdentityTable({ clock, pods, onChange: () => undefined });
    hold();
    expect(late.size).to.equal(1);
    late.stop();
  });
});
