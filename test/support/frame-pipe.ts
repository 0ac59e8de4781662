/*
 * Both ends of a stream of frames in memory: one for the code under test, the other for the test.
 */
import { type Duplex, duplexPair } from 'node:stream';
import { type Frame, FrameReader, frameHead } from '../../src/feed/frames.ts';

/** The end of a test. */
export interface FrameEnd {
  /** What arrived. */
  readonly frames: Frame[];
  readonly send: (type: number, payload?: Buffer | object) => void;
  readonly isClosed: () => boolean;
  readonly close: () => void;
  /** Reads nothing from now on. */
  readonly pause: () => void;
}

/** @param maxBytes largest payload of a frame */
export function framePipe(maxBytes: number): { readonly socket: Duplex; readonly end: FrameEnd } {
  const [socket, other] = duplexPair();
  const reader = new FrameReader(maxBytes);
  const frames: Frame[] = [];
  other.on('data', (chunk: Buffer) => void frames.push(...(reader.push(chunk) ?? [])));
  let isClosed = false;
  for (const event of ['end', 'close'] as const)
    other.on(event, () => {
      isClosed = true;
    });
  for (const side of [socket, other]) side.on('error', () => undefined);
  return {
    socket,
    end: {
      frames,
      send: (type, payload = Buffer.alloc(0)) => {
        const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload));
        other.write(Buffer.concat([frameHead(type, bytes.length), bytes]));
      },
      isClosed: () => isClosed || socket.destroyed,
      close: () => other.destroy(),
      pause: () => void other.pause(),
    },
  };
}
