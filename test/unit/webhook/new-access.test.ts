import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import { DEFAULT_MESH_CONFIG } from '../../../src/api/mesh-config.ts';
import type { EditedPod } from '../../../src/resolve/edited-pods.ts';
import { createNewAccessWarnings, NEW_ACCESS_MEMORY, type NewAccessJob } from '../../../src/webhook/new-access.ts';
import { until } from '../../support/fake-clock.ts';

const LONG_MS = 60_000;

function policy(rules: readonly object[]): Policy {
  const object = { kind: 'AuthorizationPolicy', metadata: { name: 'a', namespace: 'foo' }, spec: { rules } };
  const { value, findings } = parsePolicy(object);
  if (value === undefined) throw new Error(JSON.stringify(findings));
  return value;
}

const on = (path: string): object => ({ to: [{ operation: { paths: [path] } }] });
const pod = (name: string, before: readonly Policy[], after: readonly Policy[]): EditedPod => ({
  workload: `foo/deployment/${name}`,
  namespace: 'foo',
  before,
  after,
});
const job = (...pods: readonly EditedPod[]): NewAccessJob => ({ pods, isCut: false, mesh: DEFAULT_MESH_CONFIG });

/** The warnings for pods that are there already. */
function askOf(options: Parameters<typeof createNewAccessWarnings>[0]): (edited: NewAccessJob) => Promise<readonly string[]> {
  const ask = createNewAccessWarnings(options);
  return (edited) => ask(() => Promise.resolve(edited));
}

function warnings(limitMs: number): ReturnType<typeof askOf> {
  return askOf({ startWorker: newAccessWorker, limitMs });
}

function newAccessWorker(): Worker {
  return new Worker(new URL('../../../src/webhook/new-access-worker.ts', import.meta.url), { resourceLimits: NEW_ACCESS_MEMORY });
}

describe('warnings of the webhook about new access', () => {
  it('names a request that an edit lets in, for each workload', async () => {
    const [narrow, wide] = [policy([on('/a')]), policy([on('/a'), on('/b')])];
    const found = await warnings(LONG_MS)(job(pod('web', [narrow], [wide]), pod('open', [wide], [narrow]), pod('new', [wide], [])));

    expect(found).to.deep.equal(['this edit lets in to foo/deployment/web: GET /b', 'this edit lets in to foo/deployment/new: GET /']);
  });

  it('starts no worker for an edit that changes no pods', async () => {
    const startWorker = (): Worker => {
      throw new Error('started');
    };

    expect(await askOf({ startWorker, limitMs: LONG_MS })(job())).to.deep.equal([]);
  });

  it('says what is not decided in time', async () => {
    const found = await warnings(1)(job(pod('web', [], [policy([on('/a')])])));

    expect(found).to.deep.equal([
      'not decided for one set of pods whether this edit lets in more: no answer within 1 ms; sallyport diff decides it',
    ]);
  });

  it('analyses one edit at a time', async () => {
    const ask = warnings(LONG_MS);
    const edited = job(pod('web', [policy([on('/a')])], [policy([on('/b')])]));
    const [first, second] = await Promise.all([ask(edited), ask(edited)]);

    expect(first).to.deep.equal(['this edit lets in to foo/deployment/web: GET /b']);
    expect(second).to.have.lengthOf(1);
    expect(second[0]).to.include('another edit is being analysed');
    expect(await ask(edited)).to.deep.equal(first);
  });

  it('does not ask for the pods of an edit while another one is analysed', async () => {
    const ask = createNewAccessWarnings({ startWorker: newAccessWorker, limitMs: LONG_MS });
    const collected = Promise.withResolvers<NewAccessJob>();
    const first = ask(() => collected.promise);
    const second = await ask(() => Promise.reject(new Error('asked')));

    expect(second).to.deep.equal(['not decided whether this edit lets in more: another edit is being analysed; sallyport diff decides it']);
    collected.resolve(job());
    expect(await first).to.deep.equal([]);
  });

  it('waits for the pods only a moment, and for no others until they are there', async () => {
    const ask = createNewAccessWarnings({ startWorker: newAccessWorker, limitMs: 1 });
    const late = Promise.withResolvers<NewAccessJob>();

    expect((await ask(() => late.promise))[0]).to.include('too busy to name the pods');
    expect((await ask(() => Promise.reject(new Error('asked'))))[0]).to.include('another edit');
    late.reject(new Error('no answer'));
    await until(async () => (await ask(() => Promise.resolve(job()))).length === 0, 'the end of the first question');
  });

  it('says that pods are left out, also when all are', async () => {
    const found = await warnings(LONG_MS)({ ...job(), isCut: true });

    expect(found).to.deep.equal([
      'not decided for all pods whether this edit lets in more: there are too many sets of policies, or too large ones; sallyport diff decides it',
    ]);
  });

  it('keeps the worker for the next edit, and starts another one when it ended in between', async () => {
    const started: Worker[] = [];
    const startWorker = (): Worker => {
      const worker = new Worker(new URL('../../../src/webhook/new-access-worker.ts', import.meta.url));
      started.push(worker);
      return worker;
    };
    const ask = askOf({ startWorker, limitMs: LONG_MS });
    const edited = job(pod('web', [policy([on('/a')])], [policy([on('/b')])]));
    const first = await ask(edited);

    expect(await ask(edited)).to.deep.equal(first);
    expect(started).to.have.lengthOf(1);
    await started[0]?.terminate();
    expect(await ask(edited)).to.deep.equal(first);
    expect(started).to.have.lengthOf(2);
  });

  it('ends a worker that had nothing to do for a while', async () => {
    const ended = Promise.withResolvers<unknown>();
    const startWorker = (): Worker => {
      const worker = new Worker(new URL('../../../src/webhook/new-access-worker.ts', import.meta.url));
      worker.once('exit', ended.resolve);
      return worker;
    };
    await askOf({ startWorker, limitMs: LONG_MS, idleMs: 1 })(job(pod('web', [], [policy([on('/a')])])));

    await ended.promise;
  });

  it('admits an edit when the worker fails', async () => {
    const startWorker = (): Worker => new Worker('throw new Error("broken")', { eval: true });
    const found = await askOf({ startWorker, limitMs: LONG_MS })(job(pod('web', [], [policy([on('/a')])])));

    expect(found).to.have.lengthOf(1);
    expect(found[0]).to.include('not decided');
  });

  it('admits an edit when no worker can be started, and analyses the next one', async () => {
    let isShort = true;
    const startWorker = (): Worker => {
      if (isShort) throw new Error('no thread is left');
      return new Worker(new URL('../../../src/webhook/new-access-worker.ts', import.meta.url));
    };
    const ask = askOf({ startWorker, limitMs: LONG_MS });
    const edited = job(pod('web', [policy([on('/a')])], [policy([on('/b')])]));

    expect((await ask(edited))[0]).to.include('not decided');
    isShort = false;
    expect(await ask(edited)).to.deep.equal(['this edit lets in to foo/deployment/web: GET /b']);
  });

  it('ends a worker that takes too much memory', async () => {
    const code = 'const all = []; for (;;) all.push(new Array(100_000).fill(all.length));';
    const startWorker = (): Worker => new Worker(code, { eval: true, resourceLimits: NEW_ACCESS_MEMORY });
    const found = await askOf({ startWorker, limitMs: LONG_MS })(job(pod('web', [], [policy([on('/a')])])));

    expect(found[0]).to.include('not decided');
  });

  it('is not harmed by a worker that fails while it is being ended', async () => {
    class FailsAtTheEnd extends EventEmitter {
      unref(): void {
        // Nothing keeps the process alive.
      }
      postMessage(): void {
        // It never answers.
      }
      terminate(): Promise<number> {
        this.emit('error', new Error('too late'));
        return Promise.resolve(1);
      }
    }
    const startWorker = (): Worker => new FailsAtTheEnd() as unknown as Worker;
    const found = await askOf({ startWorker, limitMs: 1 })(job(pod('web', [], [policy([on('/a')])])));

    expect(found[0]).to.include('not decided');
  });

  it('starts no worker before the last one has ended', async () => {
    const ending = Promise.withResolvers<undefined>();
    const ended = Promise.withResolvers<number>();
    class EndsLate extends EventEmitter {
      unref(): void {
        // Nothing keeps the process alive.
      }
      postMessage(): void {
        // It never answers.
      }
      terminate(): Promise<number> {
        ending.resolve(undefined);
        return ended.promise;
      }
    }
    const ask = askOf({ startWorker: () => new EndsLate() as unknown as Worker, limitMs: 1 });
    const edited = job(pod('web', [], [policy([on('/a')])]));
    const first = ask(edited);
    await ending.promise;

    expect((await ask(edited))[0]).to.include('another edit is being analysed');
    ended.resolve(1);
    expect((await first)[0]).to.include('no answer within 1 ms');
  });
});
