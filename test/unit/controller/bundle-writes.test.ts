import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { type BundleWrites, createBundleWrites, MAX_WAITING_BYTES } from '../../../src/controller/bundle-writes.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const KEY = 'foo/pod/web';

describe('the writes of bundles', () => {
  let clock: FakeClock;
  let writes: BundleWrites;
  let done: string[];
  let stopping: AbortController;
  let running: Promise<void>;
  let waitingWorkloads: number;
  beforeEach(() => {
    clock = createFakeClock();
    waitingWorkloads = 0;
    const logger = createLogger({ level: 'silent', component: 'test' });
    writes = createBundleWrites({ clock, logger, waitingWorkloads: () => waitingWorkloads });
    done = [];
    stopping = new AbortController();
    running = writes.run(stopping.signal);
  });
  afterEach(async () => {
    stopping.abort();
    await running;
  });
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 10; turns += 1) await turn();
  };
  const take = (name: string, over: { readonly key?: string; readonly bytes?: number; readonly run?: () => Promise<void> } = {}): boolean =>
    writes.take(
      over.key ?? KEY,
      {
        bytes: over.bytes ?? 1,
        run: async () => {
          await over.run?.();
          done.push(name);
        },
      },
      'normal',
    );

  it('write only the newest of what waits for a workload, and one after the other', async () => {
    const first = Promise.withResolvers<void>();
    take('first', { run: () => first.promise });
    await settle();
    take('second');
    take('third');
    await settle();
    expect(done).to.deep.equal([]);
    first.resolve();
    await settle();
    expect(done).to.deep.equal(['first', 'third']);
    expect(writes.queue.holds(KEY)).to.equal(false);
  });

  it('retry what failed, and what others may cease to refuse, until something newer waits', async () => {
    let failures = 2;
    const fail = (): Promise<void> => {
      failures -= 1;
      if (failures === 1) return Promise.reject(new TransientError('SP_KUBE_API', 'unavailable'));
      return failures === 0 ? Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota')) : Promise.resolve();
    };
    take('first', { run: fail });
    for (let seconds = 0; seconds < 10 && done.length === 0; seconds += 1) {
      await settle();
      clock.advance(1_000);
    }
    expect(done).to.deep.equal(['first']);
    take('refused', { run: () => Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota')) });
    await settle();
    take('newer');
    await settle();
    expect(done).to.deep.equal(['first', 'newer']);
  });

  it('take no more than a number of bytes, but always what waits behind a write in progress', async () => {
    const held = Promise.withResolvers<void>();
    expect(take('large', { bytes: MAX_WAITING_BYTES / 2, run: () => held.promise })).to.equal(true);
    expect(take('other', { key: 'foo/pod/other' })).to.equal(false);
    await settle();
    expect(take('behind', { bytes: MAX_WAITING_BYTES })).to.equal(true);
    held.resolve();
    await settle();
    expect(take('other', { key: 'foo/pod/other' })).to.equal(true);
    await settle();
    expect(done).to.deep.equal(['large', 'behind', 'other']);
  });

  it('take no more for workloads whose earlier write waits, which the caller then replaces', async () => {
    const fail = (): Promise<void> => Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota'));
    const keys = Array.from({ length: 40 }, (_, at) => `foo/pod/w${at}`);
    for (const key of keys) expect(take('small', { key, run: fail })).to.equal(true);
    await settle();
    const taken = keys.filter((key) => take('large', { key, bytes: MAX_WAITING_BYTES / 16 }));
    expect(taken).to.have.length(8);
    clock.advance(200_000);
    await settle();
    // The writes that were not taken are not made in their earlier form.
    expect(done).to.deep.equal(taken.map(() => 'large'));
  });

  it('keep space for other namespaces when those of one cannot be written', async () => {
    const fail = (): Promise<void> => Promise.reject(new RefusedError('SP_KUBE_FORBIDDEN', 'exceeded quota'));
    for (let at = 0; at < 64; at += 1) take('stuck', { key: `foo/pod/w${at}`, bytes: MAX_WAITING_BYTES / 64, run: fail });
    await settle();
    expect(take('other', { key: 'bar/pod/web', bytes: MAX_WAITING_BYTES / 8 })).to.equal(true);
    await settle();
    expect(done).to.deep.equal(['other']);
  });

  it('let workloads whose agents wait for a bundle go first, but wait no longer than a second', async () => {
    waitingWorkloads = 100;
    take('first');
    for (let ms = 0; ms < 950; ms += 50) {
      await settle();
      clock.advance(50);
    }
    await settle();
    expect(done).to.deep.equal([]);
    // The newest is written.
    take('second');
    clock.advance(50);
    await settle();
    expect(done).to.deep.equal(['second']);
    take('third');
    await settle();
    waitingWorkloads = 8;
    clock.advance(50);
    await settle();
    expect(done).to.deep.equal(['second', 'third']);
  });

  it('forget what is refused for good', async () => {
    take('large', { bytes: MAX_WAITING_BYTES / 2, run: () => Promise.reject(new RefusedError('SP_TOO_LARGE', 'too large')) });
    await settle();
    expect(take('other', { key: 'foo/pod/other', bytes: MAX_WAITING_BYTES / 2 })).to.equal(true);
  });
});
