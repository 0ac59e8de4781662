import { expect } from 'chai';
import { type FetchJob, FetchSlots, PROMPT_MS, PROMPT_SLOTS, SLOW_SLOTS } from '../../../src/jwks/fetch-slots.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

/** A fetch that ends when the test says so, or when it has to give way. */
interface TestJob extends FetchJob {
  readonly name: string;
  end: () => void;
  /** How often it began. */
  starts: number;
  isRunning: boolean;
}

let clock: FakeClock;
let slots: FetchSlots;
let running: Set<string>;
let peak: number;

function job(name: string, namespaces: readonly string[] = [name.split('/')[0] ?? '']): TestJob {
  const created: TestJob = {
    name,
    namespaces: () => namespaces,
    isSlow: false,
    end: () => undefined,
    starts: 0,
    isRunning: false,
    run: (signal) =>
      new Promise((resolve) => {
        created.starts += 1;
        created.isRunning = true;
        running.add(name);
        peak = Math.max(peak, running.size);
        const end = (): void => {
          created.isRunning = false;
          running.delete(name);
          resolve();
        };
        created.end = end;
        signal.addEventListener('abort', end, { once: true });
      }),
  };
  return created;
}

function jobs(namespace: string, count: number): readonly TestJob[] {
  const created = Array.from({ length: count }, (_, at) => job(`${namespace}/${at}`));
  for (const one of created) slots.add(one);
  return created;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function passes(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
}

describe('slots of fetches', () => {
  beforeEach(() => {
    clock = createFakeClock();
    slots = new FetchSlots(clock);
    running = new Set();
    peak = 0;
  });

  it('runs as many fetches as there are slots, and the next one when one ends', async () => {
    const own = jobs('a', 20);
    expect(running.size).to.equal(PROMPT_SLOTS);
    own[0]?.end();
    await settled();
    expect(running.size).to.equal(PROMPT_SLOTS);
    expect(own[PROMPT_SLOTS]?.isRunning).to.equal(true);
  });

  it('starts the fetch of another namespace within a second when one holds every slot', async () => {
    jobs('hostile', 900);
    await passes(300);
    const other = job('other/0');
    slots.add(other);
    expect(other.isRunning).to.equal(false);
    await passes(PROMPT_MS - 300);
    expect(other.isRunning).to.equal(true);
  });

  it('does so again and again while the servers of the other namespace hang', async () => {
    jobs('hostile', 900);
    for (let round = 0; round < 30; round += 1) {
      await passes(700);
      const other = job(`other/${round}`);
      slots.add(other);
      for (let waitedMs = 0; !other.isRunning; waitedMs += 50) {
        expect(waitedMs, `round ${round}`).to.be.at.most(PROMPT_MS);
        await passes(50);
      }
      other.end();
      await settled();
    }
    expect(peak).to.be.at.most(PROMPT_SLOTS + SLOW_SLOTS);
  });

  it('continues a fetch that takes longer than a second in a slow slot', async () => {
    const slow = job('a/0');
    slots.add(slow);
    await passes(5_000);
    expect(slow.starts).to.equal(1);
    expect(slow.isRunning).to.equal(true);
    slow.end();
    await settled();
    expect(slow.isSlow).to.equal(true);
  });

  it('runs a slow fetch of another namespace although one holds every slow slot', async () => {
    jobs('hostile', 900);
    await passes(10_000);
    const slow = job('other/0');
    slots.add(slow);
    await passes(PROMPT_MS);
    expect(slow.isRunning).to.equal(true);
    await passes(29_000);
    expect(slow.starts).to.equal(1);
    expect(slow.isRunning).to.equal(true);
  });

  it('takes a slow slot from a namespace that keeps as many as the one that gets it, and from no other', async () => {
    const [first, second] = jobs('a', 2);
    const others = ['b/0', 'c/0'].map((name) => job(name));
    for (const one of others) slots.add(one);
    await passes(PROMPT_MS);
    const late = job('d/0');
    slots.add(late);
    await passes(PROMPT_MS);
    expect([first, second, ...others, late].map((one) => one?.isRunning)).to.deep.equal([false, true, true, true, true]);

    const last = job('e/0');
    slots.add(last);
    await passes(PROMPT_MS);
    expect([second, ...others, late].map((one) => one?.isRunning)).to.deep.equal([true, true, true, true]);
  });

  it('lets a known slow fetch wait in the slow lane only', async () => {
    const known = Array.from({ length: 10 }, (_, at) => Object.assign(job(`a/${at}`), { isSlow: true }));
    for (const one of known) slots.add(one);
    expect(running.size).to.equal(SLOW_SLOTS);
    jobs('b', PROMPT_SLOTS);
    expect(running.size).to.equal(SLOW_SLOTS + PROMPT_SLOTS);
  });

  it('gives the slot of a slow fetch that ends to the next one that is known to be slow', async () => {
    const known = Array.from({ length: SLOW_SLOTS + 1 }, (_, at) => Object.assign(job(`a/${at}`), { isSlow: true }));
    for (const one of known) slots.add(one);
    await passes(PROMPT_MS + 1);
    known[0]?.end();
    await settled();
    expect(known.map(({ isRunning }) => isRunning)).to.deep.equal([false, true, true, true, true]);
  });

  it('forgets that a source was slow once it responds promptly', async () => {
    const one = Object.assign(job('a/0'), { isSlow: true });
    slots.add(one);
    await passes(100);
    one.end();
    await settled();
    expect(one.isSlow).to.equal(false);
  });

  it('takes turns among namespaces', async () => {
    const first = jobs('a', 100);
    jobs('b', 100);
    jobs('c', 100);
    for (const one of first.slice(0, PROMPT_SLOTS)) one.end();
    await settled();
    const count = (namespace: string): number => [...running].filter((name) => name.startsWith(`${namespace}/`)).length;
    expect([count('a'), count('b'), count('c')]).to.deep.equal([4, 4, 4]);
  });

  it('runs a source of several namespaces once, at the turn of whichever comes first', async () => {
    const [holder] = jobs('a', 100);
    const shared = job('shared', ['a', 'b']);
    slots.add(shared);
    holder?.end();
    await settled();
    expect(shared.starts).to.equal(1);
    shared.end();
    for (let round = 0; round < 100; round += 1) await passes(PROMPT_MS);
    expect(shared.starts).to.equal(1);
  });

  it('adds the turn of a namespace that has come to want a waiting source', async () => {
    const [holder] = jobs('a', 100);
    const namespaces = ['a'];
    const shared = job('shared', namespaces);
    slots.add(shared);
    expect(slots.isWaiting(shared)).to.equal(true);
    namespaces.push('b');
    slots.add(shared);
    holder?.end();
    await settled();
    expect(shared.isRunning).to.equal(true);
    expect(slots.isWaiting(shared)).to.equal(false);
  });

  it('ends a forgotten fetch and gives its slot to the next one', async () => {
    const own = jobs('a', PROMPT_SLOTS + 1);
    const [first, ...others] = own as readonly [TestJob, ...TestJob[]];
    slots.forget(first);
    await settled();
    expect(first.isRunning).to.equal(false);
    expect(others.every(({ isRunning }) => isRunning)).to.equal(true);
    for (let round = 0; round < 10; round += 1) await passes(PROMPT_MS);
    expect(first.starts).to.equal(1);
  });

  it('does not run a fetch that was forgotten while it waited', async () => {
    const own = jobs('a', PROMPT_SLOTS + 1);
    const last = own.at(-1) as TestJob;
    slots.forget(last);
    for (const one of own) one.end();
    await until(() => running.size === 0, 'the end of all');
    expect(last.starts).to.equal(0);
  });
});
