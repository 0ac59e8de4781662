/* Following directories, by events and by polling. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { watchDirectories } from '../../../src/fs-watch/watch-directories.ts';
import { until } from '../../support/fake-clock.ts';

const NEVER_MS = 3_600_000;

describe('watchDirectories', () => {
  let parent: string;
  let stopping: AbortController;
  let running: Promise<void> | undefined;
  let calls: number;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sallyport-watch-'));
    stopping = new AbortController();
    calls = 0;
  });
  afterEach(async () => {
    stopping.abort();
    await running;
    await rm(parent, { recursive: true });
  });

  const start = (directory: string, over: { readonly pollMs?: number; readonly recursive?: boolean } = {}): void => {
    const { pollMs = NEVER_MS, recursive = false } = over;
    const onChange = (): Promise<void> => {
      calls += 1;
      return Promise.resolve();
    };
    running = watchDirectories({ directories: [directory], recursive, pollMs: () => pollMs, keepAlive: true, onChange }, stopping.signal);
  };
  const callsToReach = (count: number): Promise<void> => until(() => calls >= count, `${count} calls`);

  it('calls at the start and after a change, without polling', async () => {
    start(parent);
    await callsToReach(1);
    await writeFile(join(parent, 'a'), 'a');
    await callsToReach(2);
  });

  it('reports changes in subdirectories when recursive', async () => {
    await mkdir(join(parent, 'deep'));
    start(parent, { recursive: true });
    await callsToReach(1);
    await writeFile(join(parent, 'deep', 'a'), 'a');
    await callsToReach(2);
  });

  it('calls at every poll', async () => {
    start(parent, { pollMs: 5 });
    await callsToReach(5);
  });

  it('watches a directory that appears later, and again after it was replaced', async () => {
    const directory = join(parent, 'later');
    start(directory, { pollMs: 10 });
    await callsToReach(1);
    for (const round of [1, 2]) {
      await mkdir(directory);
      await writeFile(join(directory, 'a'), `${round}`);
      await callsToReach(calls + 2);
      await rename(directory, join(parent, `old-${round}`));
    }
  });

  it('calls again when a change happens during a call, and never twice at the same time', async () => {
    let active = 0;
    const overlaps: boolean[] = [];
    running = watchDirectories(
      {
        directories: [parent],
        pollMs: () => NEVER_MS,
        keepAlive: true,
        onChange: async () => {
          active += 1;
          overlaps.push(active > 1);
          calls += 1;
          if (calls === 1) await writeFile(join(parent, 'during'), '');
          await sleep(20);
          active -= 1;
        },
      },
      stopping.signal,
    );
    await callsToReach(2);
    expect(overlaps).to.not.include(true);
  });

  it('ends with the error of the callback', async () => {
    const watching = watchDirectories(
      { directories: [parent], pollMs: () => NEVER_MS, onChange: () => Promise.reject(new Error('no')) },
      stopping.signal,
    );
    const error: unknown = await watching.catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'no');
  });

  it('does not call when it is aborted before the start', async () => {
    stopping.abort();
    start(parent);
    await running;
    expect(calls).to.equal(0);
  });
});
