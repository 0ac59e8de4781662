/*
 * Frames leave as they were written, whatever buffers they fill, and no buffer is written again before the socket is done with it.
 */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { FrameReader } from '../../../../src/agent/http2/frame-reader.ts';
import { FrameWriter } from '../../../../src/agent/http2/frame-writer.ts';
import { FLAG, FRAME, PAYLOAD_BYTES } from '../../../../src/agent/http2/frames.ts';
import { HpackDecoder } from '../../../../src/agent/http2/hpack/decoder.ts';

/** A socket that finishes its writes only when `take` is called. */
class SlowSocket extends Writable {
  readonly #waiting: (() => void)[] = [];
  readonly #parts: Buffer[] = [];

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    this.#waiting.push(() => {
      for (const { chunk } of chunks) this.#parts.push(Buffer.from(chunk));
      callback();
    });
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this._writev([{ chunk }], callback);
  }

  /** Takes everything. @returns all bytes so far */
  take(): Buffer {
    for (let finish = this.#waiting.shift(); finish !== undefined; finish = this.#waiting.shift()) finish();
    return Buffer.concat(this.#parts);
  }
}

/** Frames as `type stream flags content`; blocks are decoded. */
function framesOf(bytes: Buffer): readonly string[] {
  const found: string[] = [];
  const decoder = new HpackDecoder({ listBytes: 1_000_000, fields: 10_000 });
  let block = Buffer.alloc(0);
  let head = '';
  let data = '';
  let sum = 0;
  const reader = new FrameReader({
    onDataFrame: (streamId, length, endStream) => {
      data = `data ${streamId} ${length} ${endStream}`;
      sum = 0;
    },
    onDataBytes: (buffer, start, end) => {
      for (let at = start; at < end; at += 1) sum = (Math.imul(sum, 31) + (buffer[at] as number)) | 0;
    },
    onDataFrameEnd: () => found.push(`${data} ${sum}`),
    onFrame: ({ type, flags, streamId, buffer, start, end }) => {
      if (type !== FRAME.headers && type !== FRAME.continuation) {
        found.push(`${type} ${streamId} ${buffer.toString('hex', start, end)}`);
        return;
      }
      if (type === FRAME.headers) {
        block = Buffer.alloc(0);
        head = `fields ${streamId} ${(flags & FLAG.endStream) !== 0}`;
      }
      block = Buffer.concat([block, buffer.subarray(start, end)]);
      if ((flags & FLAG.endHeaders) !== 0) found.push(`${head} ${JSON.stringify(decoder.decode(block, 0, block.length))}`);
    },
    onFrameFault: (error) => found.push(`fault ${error}`),
  });
  reader.read(bytes, 0, bytes.length, () => false);
  return found;
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('data' as const),
    length: fc.integer({ min: 0, max: PAYLOAD_BYTES }),
    end: fc.boolean(),
    seed: fc.nat(255),
  }),
  fc.record({ kind: fc.constant('fields' as const), length: fc.constantFrom(10, 900, 5000, 20_000, 70_000), end: fc.boolean() }),
  fc.record({ kind: fc.constant('credit' as const), bytes: fc.integer({ min: 1, max: 0x7fff_ffff }) }),
  fc.record({ kind: fc.constant('send' as const), take: fc.boolean() }),
);

describe('FrameWriter', () => {
  it('sends the frames in their order, whatever sizes they have and however slowly they are taken', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const out = new FrameWriter();
        const socket = new SlowSocket();
        const expected: string[] = [];
        for (const [at, one] of steps.entries()) {
          const streamId = 1 + 2 * at;
          if (one.kind === 'data') {
            const bytes = Buffer.alloc(one.length, one.seed);
            out.data(streamId, bytes, 0, bytes.length);
            if (one.end) out.end(streamId);
            expected.push(`data ${streamId} ${one.length} ${one.end} ${sumOf(bytes)}`);
          } else if (one.kind === 'fields') {
            const value = 'v'.repeat(one.length);
            out.fields(streamId, ['x-long', value]);
            if (one.end) out.end(streamId);
            expected.push(`fields ${streamId} ${one.end} ${JSON.stringify(['x-long', value])}`);
          } else if (one.kind === 'credit') {
            out.windowUpdate(streamId, one.bytes);
            expected.push(`8 ${streamId} ${one.bytes.toString(16).padStart(8, '0')}`);
          } else {
            out.send(socket as unknown as Socket);
            if (one.take) socket.take();
          }
        }
        out.send(socket as unknown as Socket);

        expect(framesOf(socket.take())).to.deep.equal(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('ends a stream on the frame with its header block, also when the block needs several', () => {
    const out = new FrameWriter();
    const socket = new SlowSocket();
    out.fields(1, ['x-long', 'v'.repeat(3 * PAYLOAD_BYTES)]);
    out.end(1);
    out.send(socket as unknown as Socket);
    const bytes = socket.take();

    expect([bytes[3], (bytes[4] as number) & FLAG.endStream, (bytes[4] as number) & FLAG.endHeaders]).to.deep.equal([
      FRAME.headers,
      FLAG.endStream,
      0,
    ]);
    expect(framesOf(bytes)).to.have.length(1);
  });
});
