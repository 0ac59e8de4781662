/*
 * Mocha root hooks (`--require`): after each top-level suite, whatever keeps the event loop alive (sockets, servers, timers, processes, file
 * watchers, open requests) must be gone again, or a hook named "leaves nothing behind" fails in that suite.
 */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RootHookObject, Suite } from 'mocha';
import { until } from './fake-clock.ts';

/**
 * Sockets of a client that is kept alive end some time after the last response: undici's own limit is 4 seconds. The test of these hooks does not
 * wait for so long.
 */
const PATIENCE_MS = Number(process.env['SALLYPORT_LEAK_PATIENCE_MS'] ?? 15_000);

/** Number of resources by type, as in `process.getActiveResourcesInfo()`. */
type Counts = ReadonlyMap<string, number>;

/** Resources that keep this process alive. Asynchronous, so that the timer of mocha for an asynchronous hook is always one of them. */
export async function activeResources(): Promise<Counts> {
  await nextTurn();
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/** Resources of which there are more than before, as `3 TCPSocketWrap`. */
export function surplus(before: Counts, after: Counts): readonly string[] {
  return [...after].flatMap(([type, count]) => {
    const more = count - (before.get(type) ?? 0);
    return more > 0 ? [`${more} ${type}`] : [];
  });
}

/**
 * Waits until nothing is left of what was started since `before`.
 *
 * @throws Error naming the types, with the addresses of open sockets
 */
export async function expectNoLeftovers(before: Counts, patienceMs: number = PATIENCE_MS): Promise<void> {
  let left: readonly string[] = [];
  const isClean = async (): Promise<boolean> => {
    left = surplus(before, await activeResources());
    return left.length === 0;
  };
  try {
    await until(isClean, 'resources to be released', patienceMs);
  } catch (cause) {
    throw new Error(`still open: ${[...left, ...openSockets()].join(', ')}`, { cause });
  }
}

/** Local and remote address of each connection, so that a leak can be assigned to a server. */
function openSockets(): readonly string[] {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles: () => readonly Partial<Socket>[] };
  return _getActiveHandles
    .call(process)
    .flatMap(({ localPort, remotePort, remoteAddress }) =>
      remotePort === undefined ? [] : [`${localPort} to ${remoteAddress}:${remotePort}`],
    );
}

function watch(suite: Suite): void {
  let before: Counts | undefined;
  suite.beforeAll('counts resources', async () => {
    before = await activeResources();
  });
  // The first hook of the suite, although those of its file are registered already.
  const hooks = suite as unknown as { _beforeAll: unknown[] };
  hooks._beforeAll.unshift(hooks._beforeAll.pop());
  suite.afterAll('leaves nothing behind', async () => {
    if (before !== undefined) await expectNoLeftovers(before);
  });
}

export const mochaHooks: RootHookObject = {
  beforeAll(this: Mocha.Context) {
    for (const suite of this.test?.parent?.suites ?? []) watch(suite);
  },
};
