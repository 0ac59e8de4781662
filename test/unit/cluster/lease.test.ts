/* Leader election among candidates with a lease in memory, on a fake clock. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { KubeClient, KubeRequest, KubeResponse } from '../../../src/cluster/client.ts';
import { type LeaseTerm, runWithLease } from '../../../src/cluster/lease.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const logger = createLogger({ level: 'silent', component: 'test' });

interface Lease {
  metadata: Record<string, unknown> & { resourceVersion?: string };
  spec: Record<string, unknown>;
}

/** Compare-and-swap storage of one lease behind the client's interface. */
function createLeaseServer() {
  const server = {
    lease: undefined as Lease | undefined,
    version: 0,
    requests: [] as KubeRequest[],
    /** Throws or blocks instead of responding. */
    fault: undefined as ((request: KubeRequest, who: string) => Promise<void>) | undefined,
    client: (who: string): KubeClient => ({
      server: 'memory',
      namespace: 'ns',
      stream: () => Promise.reject(new Error('not here')),
      close: () => Promise.resolve(),
      request: async (request) => {
        server.requests.push(request);
        request.signal?.throwIfAborted();
        await server.fault?.(request, who);
        return answer(request);
      },
    }),
  };
  const store = (body: unknown): KubeResponse => {
    server.version += 1;
    const lease = structuredClone(body) as Lease;
    lease.metadata = { ...lease.metadata, resourceVersion: String(server.version) };
    server.lease = lease;
    return { status: 200, json: structuredClone(lease) };
  };
  const answer = (request: KubeRequest): KubeResponse => {
    const { lease } = server;
    if (request.method === 'POST') {
      if (lease !== undefined) throw new TransientError('SP_KUBE_CONFLICT', 'already there');
      return store(request.body);
    }
    if (lease === undefined) throw new RefusedError('SP_KUBE_NOT_FOUND', 'not there');
    if (request.method === 'GET') return { status: 200, json: structuredClone(lease) };
    if ((request.body as Lease).metadata.resourceVersion !== lease.metadata.resourceVersion)
      throw new TransientError('SP_KUBE_CONFLICT', 'conflict');
    return store(request.body);
  };
  return server;
}

let server: ReturnType<typeof createLeaseServer>;
let clock: FakeClock;
let candidates: Candidate[];

interface Candidate {
  readonly stop: AbortController;
  readonly done: Promise<void>;
  leading: boolean;
  terms: number;
  reports: string[];
  /** What the present term says. */
  isHeld: () => boolean;
}

const contend = (identity: string, lead?: (signal: AbortSignal) => Promise<void>): Candidate => {
  const stop = new AbortController();
  const candidate: { -readonly [Field in keyof Candidate]: Candidate[Field] } = {
    stop,
    done: Promise.resolve(),
    leading: false,
    terms: 0,
    reports: [],
    isHeld: () => false,
  };
  const work = async (signal: AbortSignal, { isHeld }: LeaseTerm): Promise<void> => {
    candidate.isHeld = isHeld;
    candidate.leading = true;
    candidate.terms += 1;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    candidate.leading = false;
  };
  const onChange = (leading: boolean, holder: string): number =>
    candidate.reports.push(`${leading ? 'leading' : 'following'} ${holder}`.trim());
  candidate.done = runWithLease(
    { client: server.client(identity), namespace: 'ns', name: 'sallyport', identity, logger, clock, random: () => 0, onChange },
    lead ?? work,
    stop.signal,
  );
  candidates.push(candidate);
  return candidate;
};

const holder = (): unknown => server.lease?.spec['holderIdentity'];

const settle = async (): Promise<void> => {
  for (let round = 0; round < 20; round += 1) await turn();
};

/** Advances the clock second by second and lets pending work run after each. */
const pass = async (seconds: number): Promise<void> => {
  await settle();
  for (let second = 0; second < seconds; second += 1) {
    clock.advance(1_000);
    await settle();
  }
};

/** Registers the hooks that create and stop the fixture of each test. */
function useFixture(): void {
  beforeEach(() => {
    server = createLeaseServer();
    clock = createFakeClock();
    candidates = [];
  });

  afterEach(async () => {
    server.fault = undefined;
    for (const candidate of candidates) candidate.stop.abort();
    for (let round = 0; round < 5; round += 1) await pass(3);
    await Promise.allSettled(candidates.map((candidate) => candidate.done));
    expect(clock.pending()).to.deep.equal([]);
  });
}

describe('runWithLease: election', () => {
  useFixture();

  it('elects one of two candidates, which stays leader while it renews', async () => {
    const [one, two] = [contend('one'), contend('two')];
    await pass(120);

    expect([one.leading, two.leading]).to.deep.equal([true, false]);
    expect([one.terms, two.terms]).to.deep.equal([1, 0]);
    expect(two.reports).to.deep.equal(['following one']);
    expect(server.lease?.spec).to.deep.include({ holderIdentity: 'one', leaseDurationSeconds: 6, leaseTransitions: 0 });
    expect(server.lease?.spec['renewTime']).to.match(/^2026-01-01T00:0[12]:\d\d\.000000Z$/);
  });

  it('sends only urgent requests', async () => {
    contend('one');
    contend('two');
    await pass(10);

    expect(server.requests.length).to.be.greaterThan(5);
    expect(server.requests.every((request) => request.lane === 'urgent')).to.equal(true);
  });

  it('hands over within seconds after the leader has stopped its work', async () => {
    const order: string[] = [];
    const one = contend('one', async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await turn();
      order.push(`work ends while held by ${String(server.lease?.spec['holderIdentity'])}`);
    });
    const two = contend('two');
    await pass(10);
    one.stop.abort();
    await one.done;
    order.push(`released to "${String(server.lease?.spec['holderIdentity'])}"`);
    await pass(3);

    expect(order).to.deep.equal(['work ends while held by one', 'released to ""']);
    expect(two.leading).to.equal(true);
    expect(server.lease?.spec['leaseTransitions']).to.equal(1);
    expect(one.reports).to.deep.equal(['leading one', 'following']);
  });
});

describe('runWithLease: loss and recovery', () => {
  useFixture();

  it('takes over from an unreachable leader within 7 s, and not before that has given up', async () => {
    const one = contend('one');
    const two = contend('two');
    await pass(20);
    server.fault = async (_request, who) => {
      if (who === 'one') throw new TransientError('SP_KUBE_API', 'cut off');
    };
    const spans: string[] = [];
    for (let step = 1; step <= 80; step += 1) {
      clock.advance(100);
      await settle();
      spans.push(`${one.leading || one.isHeld() ? 1 : 0}${two.leading ? 1 : 0}`);
    }

    expect(spans).to.not.include('11');
    expect(spans.indexOf('00') + 1, 'the old leader gives up').to.be.within(40, 51);
    expect(spans.indexOf('01') + 1, 'the new leader begins').to.be.within(52, 70);
    expect(one.reports).to.deep.equal(['leading one', 'following']);
  });

  it('knows that it may have lost the lease as soon as a suspended process continues, before its signal aborts', async () => {
    const one = contend('one');
    await pass(5);
    expect([one.leading, one.isHeld()]).to.deep.equal([true, true]);
    // No timer runs meanwhile.
    clock.advance(25_000);

    expect([one.leading, one.isHeld()]).to.deep.equal([true, false]);
    await settle();
  });

  it('survives a renewal that fails', async () => {
    const one = contend('one');
    await pass(5);
    let failures = 0;
    server.fault = (request) =>
      new Promise((resolve, reject) => {
        failures += 1;
        if (failures === 1) clock.after(request.timeoutMs ?? Number.NaN, () => reject(new TransientError('SP_TIMEOUT', 'late')));
        else resolve();
      });
    for (let step = 0; step < 100; step += 1) {
      clock.advance(100);
      await settle();
    }

    expect([failures > 1, one.leading, one.terms]).to.deep.equal([true, true, 1]);
  });

  it('ignores the clock of other machines', async () => {
    server.lease = {
      metadata: { resourceVersion: '0' },
      spec: { holderIdentity: 'ghost', leaseDurationSeconds: 15, renewTime: '2031-01-01T00:00:00.000000Z' },
    };
    const one = contend('one');
    await pass(14);
    expect(one.leading).to.equal(false);
    await pass(3);
    expect(one.leading).to.equal(true);
  });

  it('competes again after losing the lease and can win it back', async () => {
    const one = contend('one');
    await pass(5);
    server.fault = async () => {
      throw new TransientError('SP_KUBE_API', 'down');
    };
    await pass(12);
    expect(one.leading).to.equal(false);
    server.fault = undefined;
    await pass(4);

    expect(one.leading).to.equal(true);
    expect(one.terms).to.equal(2);
    expect(one.reports).to.deep.equal(['leading one', 'following', 'leading one']);
  });

  it('stops immediately when another holder is in the lease', async () => {
    const one = contend('one');
    await pass(5);
    if (server.lease !== undefined) {
      server.lease.metadata.resourceVersion = '777';
      server.lease.spec['holderIdentity'] = 'other';
    }
    await pass(3);

    expect(one.leading).to.equal(false);
    expect(one.reports.at(-1)).to.equal('following other');
  });

  it('keeps leading when others change or delete the lease', async () => {
    const one = contend('one');
    await pass(5);
    if (server.lease !== undefined) server.lease.metadata = { resourceVersion: '555', annotations: { kept: 'yes' } };
    await pass(6);
    expect(server.lease?.metadata['annotations']).to.deep.equal({ kept: 'yes' });
    server.lease = undefined;
    await pass(6);

    expect(one.leading).to.equal(true);
    expect(one.terms).to.equal(1);
    expect(holder()).to.equal('one');
  });

  it('stops in time when a renewal hangs', async () => {
    const one = contend('one');
    await pass(5);
    server.fault = (request) =>
      new Promise((_resolve, reject) => {
        clock.after(request.timeoutMs ?? Number.NaN, () => reject(new TransientError('SP_TIMEOUT', 'late')));
      });
    await pass(13);

    expect(one.leading).to.equal(false);
  });
});

describe('runWithLease: release', () => {
  useFixture();

  it('releases the lease when an aborted renewal was stored', async () => {
    const one = contend('one');
    await pass(1);
    server.fault = async (request) => {
      if (request.method !== 'PUT' || server.lease === undefined) return;
      server.fault = undefined;
      server.lease.metadata.resourceVersion = '888';
      one.stop.abort();
      throw new Error('aborted');
    };
    await pass(2);
    await one.done;

    expect(server.lease?.spec['holderIdentity']).to.equal('');
  });

  it('releases the lease when the work returns, and rethrows its error', async () => {
    const one = contend('one', () => Promise.resolve());
    await one.done;
    const bug = new Error('a bug');
    const two = contend('two', () => Promise.reject(bug));
    let thrown: unknown;
    await two.done.catch((error: unknown) => {
      thrown = error;
    });

    expect(thrown).to.equal(bug);
    expect(server.lease?.spec['holderIdentity']).to.equal('');
  });

  it('ends without leading when it is stopped while waiting', async () => {
    contend('one');
    const two = contend('two');
    await pass(5);
    two.stop.abort();
    await two.done;

    expect(two.terms).to.equal(0);
    expect(server.lease?.spec['holderIdentity']).to.equal('one');
  });
});
