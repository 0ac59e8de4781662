/*
 * A reflector while writes, pages of its lists, events of its watches and faults of the connection come in any order: its sink ends with the
 * objects of the server, and never goes back to an earlier version of one.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Clock } from '../../src/clock.ts';
import type { KubeClient, KubeRequest } from '../../src/cluster/client.ts';
import { CONFIG_MAPS } from '../../src/cluster/paths.ts';
import { createReflector } from '../../src/cluster/reflector.ts';
import { TransientError } from '../../src/errors.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { untilIdle } from '../support/idle-scheduler.ts';

const NAMES = ['a', 'b', 'c'] as const;
const NAMESPACE = 'foo';
/** Only the watchdog of a silent connection waits longer. */
const LONGEST_DELAY_MS = 60_000;
const logger = createLogger({ level: 'silent', component: 'test' });

/** `fault` is what the open watch, or the next one, does after the write. */
interface Step {
  readonly name: (typeof NAMES)[number];
  readonly isRemoved: boolean;
  readonly fault: 'none' | 'drop' | 'end' | 'expire' | 'garbage';
}

const steps = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    isRemoved: fc.boolean(),
    fault: fc.constantFrom('none', 'none', 'none', 'drop', 'end', 'expire', 'garbage'),
  } satisfies { [K in keyof Step]: fc.Arbitrary<Step[K]> }),
  { minLength: 1, maxLength: 24 },
);

interface Item {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion: string };
}

/** What all pages of one list show. */
interface Snapshot {
  readonly version: number;
  readonly items: readonly Item[];
}

/** The collection of an API server, with the history that its watches replay. */
class Server {
  readonly items = new Map<string, Item>();
  readonly #scheduler: fc.Scheduler;
  readonly #history: { readonly version: number; readonly line: string }[] = [];
  readonly #snapshots: Snapshot[] = [];
  /** Resolves at the next write. */
  #written = Promise.withResolvers<void>();
  #version = 1;
  #oldest = 0;
  #fault: Step['fault'] = 'none';

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  apply({ name, isRemoved, fault }: Step): void {
    this.#version += 1;
    const before = this.items.get(name);
    const item: Item = { metadata: { name, namespace: NAMESPACE, resourceVersion: `${this.#version}` } };
    if (!isRemoved) this.items.set(name, item);
    else this.items.delete(name);
    if (!isRemoved || before !== undefined) {
      const type = isRemoved ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED';
      this.#history.push({ version: this.#version, line: `${JSON.stringify({ type, object: item })}\n` });
    }
    if (fault !== 'none') this.#fault = fault;
    // The history of etcd is compacted: a watch from before is not possible any more.
    if (fault === 'expire') this.#oldest = this.#version;
    this.#written.resolve();
    this.#written = Promise.withResolvers();
  }

  /** One item a page, all pages of the snapshot of the first one. */
  async list({ query }: KubeRequest): Promise<{ readonly status: number; readonly json: unknown }> {
    await this.#turn('list is read');
    let [at, position] = String(query?.['continue'] ?? '')
      .split('/')
      .map(Number);
    if (position === undefined || at === undefined) {
      at = this.#snapshots.push({ version: this.#version, items: [...this.items.values()] }) - 1;
      position = 0;
    }
    const { version, items } = this.#snapshots[at] as Snapshot;
    const token = position + 1 < items.length ? `${at}/${position + 1}` : '';
    await this.#turn('list arrives');
    return {
      status: 200,
      json: { metadata: { resourceVersion: `${version}`, continue: token }, items: items.slice(position, position + 1) },
    };
  }

  async *watch({ query, signal }: KubeRequest): AsyncGenerator<Uint8Array> {
    const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
    let seen = Number(query?.['resourceVersion']);
    while (signal?.aborted !== true) {
      const written = this.#written.promise;
      if (seen < this.#oldest) {
        yield Buffer.from(`${JSON.stringify({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })}\n`);
        return;
      }
      const next = this.#history.find(({ version }) => version > seen);
      if (next === undefined) {
        const fault = this.#takeFault();
        if (fault === 'end') return;
        if (fault === 'drop') throw new TransientError('SP_KUBE_API', 'connection dropped');
        if (fault === 'garbage') yield Buffer.from('{"type":\n');
        await Promise.race([written, aborted]);
        continue;
      }
      await this.#turn(`event ${next.version} arrives`);
      seen = next.version;
      // In two pieces, as a connection may deliver it.
      yield Buffer.from(next.line.slice(0, 9));
      yield Buffer.from(next.line.slice(9));
    }
  }

  async openWatch(request: KubeRequest): Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array> }> {
    await this.#turn('watch opens');
    return { status: 200, body: this.watch(request) };
  }

  #takeFault(): Step['fault'] {
    const fault = this.#fault;
    this.#fault = 'none';
    return fault;
  }

  #turn(label: string): Promise<void> {
    return this.#scheduler.schedule(Promise.resolve(), label);
  }
}

/** Delays end when the scheduler says so. */
function scheduledClock(scheduler: fc.Scheduler): Clock {
  return {
    nowMs: () => 0,
    wallMs: () => 0,
    after: (delayMs, run) => {
      let isCancelled = delayMs >= LONGEST_DELAY_MS;
      if (!isCancelled) void scheduler.schedule(Promise.resolve(), 'delay ends').then(() => isCancelled || run());
      return () => {
        isCancelled = true;
      };
    },
  };
}

describe('a reflector in any order', () => {
  it('ends with the objects of the server, and never takes an earlier version', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), steps, fc.boolean(), async (scheduler, list, isListed) => {
        const server = new Server(scheduler);
        const client: KubeClient = {
          server: 'http://server.invalid',
          namespace: NAMESPACE,
          request: (request) => server.list(request),
          stream: (request) => server.openWatch(request),
          close: () => Promise.resolve(),
        };
        const held = new Map<string, number>();
        const backward: string[] = [];
        const hold = (key: string, version: number): void => {
          if (version < (held.get(key) ?? 0)) backward.push(`${key} from ${held.get(key)} to ${version}`);
          held.set(key, version);
        };
        const reflector = createReflector<number>({
          client,
          resource: CONFIG_MAPS,
          namespace: NAMESPACE,
          project: ({ metadata }) => Number(metadata?.resourceVersion),
          sink: {
            replace: (objects) => {
              for (const key of held.keys()) if (!objects.has(key)) held.delete(key);
              for (const [key, version] of objects) hold(key, version);
            },
            upsert: hold,
            remove: (key) => void held.delete(key),
          },
          logger,
          clock: scheduledClock(scheduler),
          random: () => 0.5,
        });
        const stop = new AbortController();
        const running = reflector.run(stop.signal);
        // A write is one step and a list several: without the wait most writes come before the first watch.
        if (isListed) await untilIdle(scheduler);
        scheduler.scheduleSequence(
          list.map((step) => ({
            label: `write ${step.name} ${step.isRemoved ? 'removed' : 'put'} ${step.fault}`,
            builder: () => {
              server.apply(step);
              return Promise.resolve();
            },
          })),
        );
        await untilIdle(scheduler);
        stop.abort();
        await running;

        const expected = [...server.items.values()].map(({ metadata }) => [
          `${NAMESPACE}/${metadata.name}`,
          Number(metadata.resourceVersion),
        ]);
        expect([...held].sort()).to.deep.equal(expected.sort());
        expect(backward).to.deep.equal([]);
      }),
      { numRuns: 200 },
    );
  });
});
