/*
 * What a stream sends and gets frames through: a socket, or its share of one that serves the pods of a node.
 */
import type { Duplex } from 'node:stream';
import { type Frame, FrameReader, frameHead } from '../feed/frames.ts';
import type { CloseReason } from './feed-refusal.ts';

/** The controller's end of a channel. */
export interface Channel {
  /** Sends a frame. @param onWritten called when the connection has taken it; perhaps never once the channel is closed */
  readonly send: (type: number, payload: Buffer, onWritten: () => void) => void;
  /** Whether a sign of life can be sent: nothing waits for the agent to read it. */
  readonly isDrained: () => boolean;
  /** Bytes that the connection has not taken yet. */
  readonly backlog: () => number;
  readonly close: (reason: CloseReason) => void;
}

/** What a channel reports. */
export interface ChannelEvents {
  readonly onFrame: (frame: Frame) => void;
  /** The agent, or the network, ended it, or sent something that is not a frame. */
  readonly onEnd: (reason: 'agent' | 'garbage') => void;
}

/** The frames on a socket. @param maxBytes largest payload of a frame from the agent */
export function socketChannel(socket: Duplex, maxBytes: number, events: ChannelEvents): Channel {
  const reader = new FrameReader(maxBytes);
  socket.on('data', (chunk: Buffer) => {
    const frames = reader.push(chunk);
    if (frames === undefined) events.onEnd('garbage');
    for (const frame of frames ?? []) if (!socket.destroyed) events.onFrame(frame);
  });
  for (const event of ['end', 'error', 'close'] as const) socket.on(event, () => events.onEnd('agent'));
  return {
    send: (type, payload, onWritten) => {
      // Many streams share one payload: it is not copied.
      socket.cork();
      socket.write(frameHead(type, payload.length));
      socket.write(payload, () => onWritten());
      socket.uncork();
    },
    isDrained: () => socket.writableLength === 0,
    backlog: () => socket.writableLength,
    close: () => socket.destroy(),
  };
}
