import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { Chunk } from '../../../src/bundle/canonical-json.ts';
import type { AgentStream } from '../../../src/feed-server/agent-stream.ts';
import { BundleSender, type Receiver } from '../../../src/feed-server/bundle-sender.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const BYTES = 10_000;

let encoded = 0;

/** A text that counts how often it was encoded. */
const CHUNK = {
  get text(): string {
    encoded += 1;
    return 'x'.repeat(BYTES);
  },
  size: BYTES,
  digest: 'd'.repeat(43),
} as unknown as Chunk;

describe('the sender of bundles', () => {
  let reads: number;
  let done: (() => void)[];
  let sender: BundleSender;
  let sent: string[];

  const receiver = (workload: string): Receiver => {
    const stream = {
      report: { number: 0, received: 0 },
      isIdle: true,
      sentNumber: 0,
      sendBundle: (number: number, _frame: unknown, onRead: () => void) => {
        Object.assign(stream, { sentNumber: number, isIdle: false });
        sent.push(workload);
        done.push(onRead);
      },
    };
    const made: Receiver = { workload, stream: stream as unknown as AgentStream, has: new Set(), isPartial: false };
    sender.add(made);
    return made;
  };
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 20; turns += 1) await turn();
  };

  beforeEach(() => {
    [reads, done, sent, encoded] = [0, [], [], 0];
    sender = new BundleSender({
      currentOf: () => ({
        number: 5,
        read: () => {
          reads += 1;
          return Promise.resolve({ files: { '0/statement.jws': Buffer.from('s') }, chunks: [CHUNK] });
        },
      }),
      onSent: () => undefined,
      clock: createFakeClock(),
      logger: createLogger({ level: 'silent', component: 'test' }),
      maxBytes: 3.5 * BYTES,
    });
  });

  it('encodes nothing for streams that wait, and serves all of them in the end', async () => {
    const receivers = Array.from({ length: 60 }, (_, at) => receiver(`foo/pod/w${at}`));
    for (const one of receivers) sender.consider(one);
    await settle();
    expect([sent.length, encoded]).to.deep.equal([3, 60]);

    encoded = 0;
    for (let at = 0; at < 60; at += 1) {
      await settle();
      done[at]?.();
    }
    expect(sent.toSorted()).to.deep.equal(receivers.map(({ workload }) => workload).toSorted());
    expect(reads).to.be.below(180);
  });

  it('reads a bundle once for all streams of a workload that waited, and nothing for those that left', async () => {
    for (let at = 0; at < 3; at += 1) sender.consider(receiver(`foo/pod/w${at}`));
    await settle();
    const waiting = Array.from({ length: 4 }, () => receiver('foo/pod/web'));
    for (const one of waiting) sender.consider(one);
    const gone = receiver('foo/pod/gone');
    sender.consider(gone);
    await settle();
    sender.remove(gone);
    reads = 0;
    for (const one of done.splice(0)) one();
    await settle();
    expect([reads, sent.filter((name) => name === 'foo/pod/web').length, sent.includes('foo/pod/gone')]).to.deep.equal([1, 3, false]);
    for (const one of done.splice(0)) one();
    await settle();
    expect(sent.filter((name) => name === 'foo/pod/web')).to.have.length(4);
  });
});
