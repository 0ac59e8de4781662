/*
 * Large bodies pass through read buffers that are kept until they are written: no byte is lost, repeated or overwritten, however slowly
 * the other side reads, and no buffer stays in use.
 */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { type BulkBuffer, giveBack, keepable, ReadBuffers } from '../../../../src/agent/net/read-buffers.ts';
import { LIMITS } from '../../../../src/limits/agent-limits.ts';
import { type Stage, stage } from '../loopback.ts';

/** More than the kernel keeps for a client that does not read. */
const BODY_BYTES = 24 * 1024 * 1024;

/** Bytes that differ everywhere, beginning with another one for each `seed`. */
function bodyOf(seed: number): Buffer {
  const body = Buffer.allocUnsafe(BODY_BYTES);
  for (let at = 0; at < BODY_BYTES; at += 4) body.writeUInt32LE(Math.imul(at + seed, 2_654_435_761) >>> 0, at);
  return body;
}
const BODIES = [1, 2].map(bodyOf);
const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const TURNS = 500;
const isReading = (): boolean => false;

/** The body that `socket` sends. It begins to read after some turns of the event loop, and then reads in spurts. */
async function readSlowly(socket: Socket): Promise<Buffer> {
  socket.pause();
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const parts: Buffer[] = [];
  let missing = Number.POSITIVE_INFINITY;
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    parts.push(bytes);
    if (parts.length === 1) missing = bytes.indexOf('\r\n\r\n') + 4 + BODY_BYTES;
    missing -= bytes.length;
    if (missing <= 0) break;
    if (parts.length % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const all = Buffer.concat(parts);
  return all.subarray(all.indexOf('\r\n\r\n') + 4);
}

/** Sends `body` in pieces, each in a turn of the event loop. */
function sendIn(socket: Socket, body: Buffer, piece: number, at = 0): void {
  socket.write(body.subarray(at, at + piece));
  if (at + piece < body.length) setImmediate(() => sendIn(socket, body, piece, at + piece));
}

describe('ReadBuffers', () => {
  let at: Stage;
  afterEach(async () => {
    await at?.stop();
  });

  for (const piece of [BODY_BYTES, 40_000]) {
    it(`passes large responses that arrive ${piece} bytes at a time to several slow clients at the same time`, async () => {
      at = await stage({
        upstream: (socket) => {
          socket.once('data', (head: Buffer) => {
            const body = BODIES[Number(head.toString('latin1').charAt(5))] as Buffer;
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
            sendIn(socket, body, piece);
          });
        },
      });
      const received = await Promise.all(
        BODIES.map(async (_, seed) => {
          const socket = connect(at.port, '127.0.0.1');
          socket.write(`GET /${seed} HTTP/1.1\r\nHost: a\r\n\r\n`);
          const body = await readSlowly(socket);
          socket.destroy();
          return hashOf(body);
        }),
      );
      expect(received).to.deep.equal(BODIES.map(hashOf));
    });
  }

  it('passes large requests to a slow application', async () => {
    const bodies: Promise<Buffer>[] = [];
    at = await stage({ upstream: (socket) => bodies.push(readSlowly(socket)) });
    const clients = BODIES.map((body) => {
      const socket = connect(at.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_BYTES}\r\n\r\n`);
      sendIn(socket, body, 40_000);
      return socket;
    });
    while (bodies.length < BODIES.length) await new Promise((resolve) => setImmediate(resolve));
    const hashes = (await Promise.all(bodies)).map(hashOf);
    for (const socket of clients) socket.destroy();
    expect(hashes.toSorted()).to.deep.equal(BODIES.map(hashOf).toSorted());
  });

  it('reads into the shared buffer until a read is large, and into another while a writer keeps the last one', () => {
    const seen: Buffer[] = [];
    const buffers = new ReadBuffers({ isPassing: true, onBytes: (buffer) => seen.push(buffer) });
    const shared = buffers.next(isReading);
    buffers.deliver(100);
    expect(buffers.next(isReading)).to.equal(undefined);
    buffers.deliver(60_000);
    const own = buffers.next(isReading);
    expect(own).not.to.equal(shared);
    buffers.deliver(60_000);
    expect(buffers.next(isReading)).to.equal(undefined);
    expect(seen).to.deep.equal([shared, shared, own]);

    const held: BulkBuffer[] = [];
    const writer = new ReadBuffers({
      isPassing: true,
      onBytes: (buffer) => {
        const bulk = keepable(buffer);
        if (bulk === undefined) return;
        bulk.holders += 1;
        held.push(bulk);
      },
    });
    writer.next(isReading);
    writer.deliver(60_000);
    const kept = writer.next(isReading);
    writer.deliver(60_000);
    expect(writer.next(isReading)).to.be.instanceOf(Buffer).and.not.equal(kept);
    writer.deliver(100);
    expect(writer.next(isReading)).to.equal(shared);
    expect(held[0]?.bytes).to.equal(kept);
    // Only while it is delivered.
    expect(keepable(kept as Buffer)).to.equal(undefined);
    for (const bulk of held) giveBack(bulk);
    buffers.close();
    writer.close();
  });

  it('reads into the shared buffer while no body passes, however large the reads are', () => {
    const buffers = new ReadBuffers({ isPassing: false, onBytes: () => {} });
    buffers.next(isReading);
    for (let reads = 0; reads < 3; reads += 1) {
      buffers.deliver(60_000);
      expect(buffers.next(isReading)).to.equal(undefined);
    }
    buffers.close();
  });

  it('falls back to the shared buffer when all others are in use', () => {
    const all = Array.from({ length: LIMITS.readBuffers.value + 1 }, () => new ReadBuffers({ isPassing: true, onBytes: () => {} }));
    const given = all.map((buffers) => {
      buffers.next(isReading);
      buffers.deliver(60_000);
      return buffers.next(isReading);
    });
    const shared = new ReadBuffers({ isPassing: true, onBytes: () => {} }).next(isReading);
    expect(given.filter((buffer) => buffer === shared).length).to.be.at.least(1);
    for (const buffers of all) buffers.close();
    const again = new ReadBuffers({ isPassing: true, onBytes: () => {} });
    again.next(isReading);
    again.deliver(60_000);
    expect(again.next(isReading)).not.to.equal(shared);
    again.close();
  });

  for (const [what, length, isPaused] of [
    ['idle', 60_000, false],
    ['paused', LIMITS.readBufferBytes.value, true],
  ] as const) {
    it(`leaves buffers to others while many sockets are ${what} that had one`, () => {
      const receiver = { isPassing: true, onBytes: () => {} };
      const shared = new ReadBuffers(receiver).next(isReading);
      const others = Array.from({ length: 4 * LIMITS.readBuffers.value }, () => new ReadBuffers(receiver));
      const last = others.map((buffers) => {
        buffers.next(isReading);
        buffers.deliver(60_000);
        let into = buffers.next(isReading);
        buffers.deliver(length);
        into = buffers.next(() => isPaused) ?? into;
        return into;
      });
      // Where there are plenty, a socket keeps its buffer.
      expect(last.filter((buffer) => buffer !== shared).length).to.equal(LIMITS.readBuffers.value / 2);
      const busy = new ReadBuffers(receiver);
      busy.next(isReading);
      busy.deliver(60_000);
      expect(busy.next(isReading)).to.be.instanceOf(Buffer).and.not.equal(shared);
      busy.deliver(LIMITS.readBufferBytes.value);
      expect(busy.next(isReading)).to.equal(undefined);
      for (const buffers of [...others, busy]) buffers.close();
    });
  }
});
