/* The reflector against a server that disconnects, stalls, forgets and sends invalid events, on a fake clock. */
import { expect } from 'chai';
import { createKubeClient, type KubeClient } from '../../../src/cluster/client.ts';
import type { RawObject } from '../../../src/cluster/kube-object.ts';
import { PODS } from '../../../src/cluster/paths.ts';
import { createReflector, type Reflector, type ReflectorOptions, type RestartReason } from '../../../src/cluster/reflector.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { answerStatus, type FakeApiServer, type FakeObject, startFakeApiServer } from '../../support/fake-api-server.ts';
import { createFakeClock, type FakeClock, until } from '../../support/fake-clock.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

interface Slim {
  readonly app: string;
}

function pod(name: string, app = 'web'): FakeObject {
  return { metadata: { name, namespace: 'foo', labels: { app }, managedFields: ['much'] }, spec: { big: true } };
}

function project(raw: RawObject): Slim | undefined {
  const app = raw.metadata?.labels?.['app'];
  return app === undefined || app === 'ignored' ? undefined : { app };
}

let server: FakeApiServer;
let clock: FakeClock;
let client: KubeClient;
let stop: AbortController;
let running: Promise<void>;
let restarts: RestartReason[];
let held: Map<string, Slim>;
let calls: string[];

const start = (extra: Partial<ReflectorOptions<Slim>> = {}): Reflector => {
  const reflector = createReflector<Slim>({
    client,
    resource: PODS,
    project,
    sink: {
      replace: (objects) => {
        held = new Map(objects);
        calls.push(`replace ${objects.size}`);
      },
      upsert: (key, object) => {
        held.set(key, object);
        calls.push(`upsert ${key}=${object.app}`);
      },
      remove: (key) => {
        held.delete(key);
        calls.push(`remove ${key}`);
      },
    },
    logger,
    clock,
    random: () => 0,
    onRestart: (reason) => restarts.push(reason),
    ...extra,
  });
  running = reflector.run(stop.signal);
  return reflector;
};

const watching = (count: number): Promise<void> => until(() => server.watches.length === count, `watch number ${count}`);
const lastWatch = (): FakeApiServer['watches'][number] => {
  const watch = server.watches.at(-1);
  if (watch === undefined) throw new Error('no watch');
  return watch;
};
/** Waits until the reflector has received the head of its latest watch, so that the deadline of the head is over. */
const established = async (reflector: Reflector, count: number): Promise<void> => {
  await watching(count);
  const resourceVersion = String(10_000 + count);
  lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion } });
  await until(() => reflector.resourceVersion() === resourceVersion, 'the bookmark');
};
/** Without the requests that ask for the version of the server. */
const lists = (): number => server.requests.filter(({ query }) => query.get('watch') !== 'true' && query.get('limit') !== '1').length;

/** Registers the hooks that create and stop the fixture of each test. */
function useFixture(): void {
  beforeEach(async () => {
    server = await startFakeApiServer();
    clock = createFakeClock();
    client = createKubeClient({ kubeconfig: server.kubeconfig, version: '0', clock, qps: 1000, burst: 1000 });
    stop = new AbortController();
    running = Promise.resolve();
    restarts = [];
    held = new Map();
    calls = [];
  });

  afterEach(async () => {
    stop.abort();
    await running;
    await client.close();
    await server.stop();
  });
}

describe('createReflector: list and watch', () => {
  useFixture();

  it('lists, reports that it is synced, and follows changes', async () => {
    server.put(pod('a'));
    const reflector = start();
    await reflector.whenSynced;
    await watching(1);
    server.put(pod('b', 'db'));
    server.put(pod('a', 'api'));
    server.remove('b');
    await until(() => calls.length === 4, 'four sink calls');

    expect(calls).to.deep.equal(['replace 1', 'upsert foo/b=db', 'upsert foo/a=api', 'remove foo/b']);
    expect([...held]).to.deep.equal([['foo/a', { app: 'api' }]]);
    expect(reflector.hasSynced()).to.equal(true);
    expect(reflector.resourceVersion()).to.equal(String(server.resourceVersion()));
  });

  it('requests smaller pages where objects may be large', async () => {
    for (let index = 0; index < 3; index += 1) server.putSilently(pod(`p${index}`));
    start({ pageSize: 2 });
    await watching(1);

    expect(held.size).to.equal(3);
    expect(server.requests.slice(0, 2).map(({ query }) => query.get('limit'))).to.deep.equal(['2', '2']);
  });

  it('lets other work have its turn between the objects of a page', async () => {
    for (let index = 0; index < 5; index += 1) server.putSilently(pod(`p${index}`));
    let turns = 0;
    const count = (): void => {
      turns += 1;
      if (!stop.signal.aborted) setImmediate(count);
    };
    const seen: number[] = [];
    setImmediate(count);
    start({
      project: (raw) => {
        seen.push(turns);
        // More than a turn may take.
        for (const startMs = performance.now(); performance.now() - startMs < 6; );
        return project(raw);
      },
    });
    await watching(1);

    expect(held.size).to.equal(5);
    expect(new Set(seen).size).to.equal(5);
  });

  it('requests pages of 200, bookmarks, and watches of five to ten minutes', async () => {
    for (let index = 0; index < 401; index += 1) server.putSilently(pod(`p${index}`));
    start({ random: () => 0.5, labelSelector: 'app=web', namespace: 'foo' });
    await watching(1);

    expect(held.size).to.equal(401);
    const pages = server.requests.slice(0, 3).map((request) => [request.path, Object.fromEntries(request.query)]);
    const path = '/api/v1/namespaces/foo/pods';
    expect(pages).to.deep.equal([
      [path, { labelSelector: 'app=web', limit: '200' }],
      [path, { labelSelector: 'app=web', limit: '200', continue: '200' }],
      [path, { labelSelector: 'app=web', limit: '200', continue: '400' }],
    ]);
    expect(Object.fromEntries(lastWatch().query)).to.deep.equal({
      labelSelector: 'app=web',
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: String(server.resourceVersion()),
      timeoutSeconds: '450',
    });
  });

  it('takes an empty list of metadata, whose items are null', async () => {
    server.fault = (request, response) => {
      if (request.query.has('watch')) return false;
      response.end(JSON.stringify({ kind: 'PartialObjectMetadataList', metadata: { resourceVersion: '100' }, items: null }));
      return true;
    };
    await start({ metadataOnly: true }).whenSynced;

    expect(calls).to.deep.equal(['replace 0']);
  });

  it('requests metadata only when configured', async () => {
    start({ metadataOnly: true });
    await watching(1);

    expect(server.requests.map((request) => request.headers.accept)).to.deep.equal([
      'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    ]);
  });
});

describe('createReflector: recovery', () => {
  useFixture();

  it('resumes from the last bookmark when the connection drops', async () => {
    const reflector = start();
    await watching(1);
    lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: '900' } });
    lastWatch().send('{"type":"ADDED","object":{"meta');
    await until(() => reflector.resourceVersion() === '900', 'the bookmark');
    lastWatch().drop();
    await watching(2);

    expect(lastWatch().query.get('resourceVersion')).to.equal('900');
    expect(lists()).to.equal(1);
    expect(restarts).to.deep.equal(['error']);
  });

  it('lists again when the server is behind, because etcd was restored from a backup', async () => {
    server.put(pod('a'));
    const reflector = start();
    await watching(1);
    lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: '900' } });
    await until(() => reflector.resourceVersion() === '900', 'the bookmark');
    lastWatch().drop();
    await watching(2);
    server.putSilently(pod('b'));
    lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: '99' } });
    await watching(3);

    expect([lists(), [...held.keys()]]).to.deep.equal([2, ['foo/a', 'foo/b']]);
    expect(restarts).to.deep.equal(['error', 'expired']);
  });

  for (const [name, version, expected] of [
    ['lists again after an outage when the server is behind', '900', 2],
    ['resumes the watch after an outage when the server is not behind', '101', 1],
  ] as const) {
    it(name, async () => {
      server.put(pod('a'));
      const reflector = start({ random: () => 1 });
      await watching(1);
      lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: version } });
      await until(() => reflector.resourceVersion() === version, 'the bookmark');
      const pass = async (count: number): Promise<void> => {
        await until(() => restarts.length === count && (clock.pending()[0] ?? Number.NaN) < 1000, 'the pause before the next attempt');
        clock.advance(clock.pending()[0] ?? 0);
      };
      server.fault = (_request, response) => answerStatus(response, 503, 'ServiceUnavailable');
      lastWatch().drop();
      await pass(1);
      await until(() => restarts.length === 2, 'the attempt during the outage');
      server.fault = undefined;
      await pass(2);
      if (expected === 2) await pass(3);
      await watching(2);

      expect(lists()).to.equal(expected);
      expect(lastWatch().query.get('resourceVersion')).to.equal('101');
      expect(restarts).to.deep.equal(expected === 2 ? ['error', 'error', 'expired'] : ['error', 'error']);
    });
  }

  it('opens the next watch without delay when the server ends one regularly', async () => {
    const reflector = start({ random: () => 0.9 });
    await established(reflector, 1);
    clock.advance(60_000);
    lastWatch().end();
    await watching(2);

    expect(restarts).to.deep.equal([]);
    expect(lists()).to.equal(1);
  });

  it('increases the delay to less than a second when the server ends every watch immediately', async () => {
    start({ random: () => 0.5 });
    const waits: number[] = [];
    for (let round = 1; round <= 5; round += 1) {
      await watching(round);
      lastWatch().end();
      await until(() => restarts.length === round, 'the restart');
      const wait = clock.pending()[0] ?? Number.NaN;
      waits.push(wait);
      clock.advance(wait);
    }

    expect(waits).to.deep.equal([100, 200, 400, 400, 400]);
  });

  const expiries: readonly { readonly name: string; readonly expire: () => void; readonly reason: RestartReason }[] = [
    {
      name: 'an ERROR event with 410',
      expire: () => lastWatch().event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' }),
      reason: 'expired',
    },
    {
      name: 'an ERROR event with 500',
      expire: () => lastWatch().event('ERROR', { kind: 'Status', code: 500, reason: 'InternalError' }),
      reason: 'error',
    },
    { name: 'a line that is not JSON', expire: () => lastWatch().send('{"type":"ADDED","object":\n'), reason: 'broken' },
    { name: 'an event of an unknown type', expire: () => lastWatch().event('EXPLODED', pod('x')), reason: 'broken' },
    { name: 'an object without resourceVersion', expire: () => lastWatch().event('ADDED', pod('x')), reason: 'broken' },
    {
      name: 'a 410 response to a watch',
      expire: () => {
        let once = true;
        server.fault = (request, response) => {
          if (!once || request.query.get('watch') !== 'true') return false;
          once = false;
          return answerStatus(response, 410, 'Expired');
        };
        lastWatch().drop();
      },
      reason: 'expired',
    },
  ];
  for (const { name, expire, reason } of expiries) {
    it(`lists again after ${name}, and replaces the objects in the sink`, async () => {
      server.put(pod('stays'));
      server.put(pod('changes'));
      server.put(pod('goes'));
      const reflector = start();
      await reflector.whenSynced;
      await watching(1);
      calls.length = 0;
      server.putSilently(pod('changes', 'api'));
      server.putSilently(pod('comes'));
      const watches = [...server.watches];
      server.watches.length = 0;
      server.remove('goes');
      server.watches.push(...watches);

      expire();
      await watching(2);

      expect(calls).to.deep.equal(['replace 3']);
      expect([...held.keys()].sort()).to.deep.equal(['foo/changes', 'foo/comes', 'foo/stays']);
      expect(restarts.at(-1)).to.equal(reason);
    });
  }

  it('restarts the list when its later pages have expired', async () => {
    for (let index = 0; index < 300; index += 1) server.putSilently(pod(`p${index}`));
    let gone = true;
    server.fault = (request, response) => {
      if (!gone || request.query.get('continue') === null) return false;
      gone = false;
      return answerStatus(response, 410, 'Expired');
    };
    start();
    await watching(1);

    expect(held.size).to.equal(300);
    expect(server.requests.slice(0, 4).map((request) => request.query.get('continue'))).to.deep.equal([null, '200', null, '200']);
    expect(restarts).to.deep.equal(['expired']);
  });

  it('is synced only once a list succeeds', async () => {
    server.fault = (_request, response) => answerStatus(response, 500, 'InternalError');
    const reflector = start();
    await until(() => restarts.length >= 3, 'three failures');

    expect(reflector.hasSynced()).to.equal(false);
    expect(calls).to.deep.equal([]);

    server.fault = undefined;
    await reflector.whenSynced;
  });

  it('waits for the duration of Retry-After', async () => {
    server.fault = (_request, response) => answerStatus(response, 429, 'TooManyRequests', { 'retry-after': '17' });
    start();
    await until(() => restarts.length === 1, 'the failure');

    expect(clock.pending()).to.deep.equal([17_000]);
    server.fault = undefined;
    clock.advance(17_000);
    await watching(1);
  });

  it('reopens the watch from the same resourceVersion after 90 s without data', async () => {
    const reflector = start();
    await established(reflector, 1);
    clock.advance(89_000);
    lastWatch().event('BOOKMARK', { kind: 'Pod', metadata: { resourceVersion: '10901' } });
    await until(() => reflector.resourceVersion() === '10901', 'the bookmark');
    clock.advance(89_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.watches).to.have.length(1);

    clock.advance(1_000);
    await watching(2);

    expect(lastWatch().query.get('resourceVersion')).to.equal('10901');
    expect(restarts).to.deep.equal(['idle']);
    expect(server.watches[0]?.closed).to.equal(true);
  });

  it('waits at most 4 s while the server is down', async () => {
    const reflector = start({ random: () => 1 });
    await established(reflector, 1);
    server.fault = (_request, response) => answerStatus(response, 503, 'ServiceUnavailable');
    lastWatch().drop();
    const waits: number[] = [];
    for (let round = 1; round <= 8; round += 1) {
      await until(() => restarts.length === round, 'the restart');
      waits.push(clock.pending()[0] ?? Number.NaN);
      clock.advance(waits.at(-1) ?? 0);
    }

    expect(waits).to.deep.equal([200, 400, 800, 1_600, 3_200, 4_000, 4_000, 4_000]);
    expect(lists()).to.equal(1);
  });

  it('resets the backoff after an event', async () => {
    const reflector = start({ random: () => 0.5 });
    const waits: number[] = [];
    for (const [at, hasEvent] of [false, false, true, false].entries()) {
      await watching(at + 1);
      if (hasEvent) {
        server.put(pod(`p${at}`));
        await until(() => held.has(`foo/p${at}`), 'the event');
      }
      lastWatch().drop();
      await until(() => restarts.length === at + 1, 'the restart');
      waits.push(clock.pending()[0] ?? Number.NaN);
      clock.advance(waits.at(-1) ?? 0);
    }

    expect(waits).to.deep.equal([100, 200, 100, 200]);
    expect(reflector.hasSynced()).to.equal(true);
  });

  it('lists ever more slowly while every watch expires after an event', async () => {
    start({ random: () => 1 });
    const waits: number[] = [];
    for (let round = 1; round <= 10; round += 1) {
      await watching(round);
      server.put(pod(`p${round}`));
      await until(() => held.has(`foo/p${round}`), 'the event');
      lastWatch().event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' });
      await until(() => restarts.length === round, 'the restart');
      waits.push(clock.pending()[0] ?? Number.NaN);
      clock.advance(waits.at(-1) ?? 0);
    }

    expect([waits[0], waits.at(-1)]).to.deep.equal([200, 30_000]);
  });

  it('resets the backoff after a watch of one minute', async () => {
    const reflector = start({ random: () => 0.5 });
    const fail = async (round: number): Promise<number> => {
      await watching(round);
      lastWatch().drop();
      await until(() => restarts.length === round, 'the restart');
      return clock.pending()[0] ?? Number.NaN;
    };
    const waits = [];
    for (const round of [1, 2, 3]) {
      waits.push(await fail(round));
      clock.advance(waits.at(-1) ?? 0);
    }
    await established(reflector, 4);
    clock.advance(60_000);
    waits.push(await fail(4));
    clock.advance(waits.at(-1) ?? 0);

    expect(waits).to.deep.equal([100, 200, 400, 100]);
  });
});

describe('createReflector: projection and sink', () => {
  useFixture();

  it('omits objects without a projection and removes them when the projection disappears', async () => {
    server.put(pod('a'));
    server.put(pod('b', 'ignored'));
    const reflector = start();
    await reflector.whenSynced;
    await watching(1);
    server.put(pod('a', 'ignored'));
    server.put(pod('c', 'ignored'));
    server.put(pod('b', 'web'));
    await until(() => calls.length === 3, 'three sink calls');

    expect(calls).to.deep.equal(['replace 1', 'remove foo/a', 'upsert foo/b=web']);
  });

  it('calls the sink once for a repeated event', async () => {
    const reflector = start();
    await reflector.whenSynced;
    await watching(1);
    const repeated = { ...pod('a'), metadata: { ...pod('a').metadata, resourceVersion: '500' } };
    lastWatch().event('ADDED', repeated);
    lastWatch().event('MODIFIED', repeated);
    lastWatch().event('DELETED', repeated);
    lastWatch().event('DELETED', repeated);
    await until(() => reflector.resourceVersion() === '500' && calls.length === 3, 'the events');

    expect(calls).to.deep.equal(['replace 0', 'upsert foo/a=web', 'remove foo/a']);
  });

  it('retries when the projection throws, and delivers the object later', async () => {
    let failing = true;
    const reflector = start({
      project: (raw) => {
        if (failing && raw.metadata?.name === 'bad') throw new TypeError('a bug');
        return project(raw);
      },
    });
    await reflector.whenSynced;
    await watching(1);
    server.put(pod('bad'));
    await until(() => restarts.length >= 2, 'two failures');
    failing = false;
    await until(() => held.has('foo/bad'), 'the object');
  });
});

describe('createReflector: stop', () => {
  useFixture();

  it('rejects whenSynced, but not run, when it is stopped before the first list', async () => {
    server.fault = (_request, response) => answerStatus(response, 503, 'ServiceUnavailable');
    const reflector = start();
    await until(() => restarts.length > 0, 'a failure');
    stop.abort(new Error('stopping'));
    await running;

    let reason: unknown;
    await reflector.whenSynced.catch((thrown: unknown) => {
      reason = thrown;
    });
    expect(reason).to.have.property('message', 'stopping');
  });

  it('sends no request after it is stopped', async () => {
    start({ random: () => 0.5 });
    await watching(1);
    lastWatch().drop();
    await until(() => restarts.length === 1, 'the restart');
    stop.abort();
    await running;
    const requests = server.requests.length;
    clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 20));

    expect(server.requests).to.have.length(requests);
    expect(clock.pending()).to.deep.equal([]);
  });
});
