/*
 * One stream of the feed, of an agent or of a replica of the controller: connects to a controller, switches the connection to frames, and ends
 * when either side is silent.
 */
import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { type Frame, FrameReader } from '../feed/frames.ts';
import { ACCEPTS_HEADER, FEED_PATH, FEED_PROTOCOL, HOLDS_HEADER, TAKES_HEADER } from '../feed/protocol.ts';
import type { Limit } from '../limits/limit.ts';
import { startDeadline } from '../limits/timers.ts';

/** A controller that serves the feed. */
export interface FeedTarget {
  readonly host: string;
  readonly port: number;
  /** Name that its certificate must have, whatever the host. */
  readonly serverName: string;
  /** Certificates of the trusted authorities in PEM. */
  readonly authorities: readonly string[];
  /** ServiceAccount token. */
  readonly token: string;
  /** Address that the connection is from; absent: that of the system's choice. */
  readonly from?: string | undefined;
  /** Value of `TAKES_HEADER`. */
  readonly takes: string;
  /** Number of the bundle whose parts the agent has; absent or 0: it has none. */
  readonly holds?: number;
  /** Time until the controller has accepted the stream. */
  readonly patience: Limit;
}

/** What came of a connection. `accepts`: what the controller reads beyond reports. `elsewhere`: the leader has another address. */
export type FeedConnection =
  | { readonly kind: 'open'; readonly socket: Duplex; readonly head: Buffer; readonly accepts: readonly string[] }
  | { readonly kind: 'elsewhere'; readonly host: string; readonly port: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** Connects; never rejects. */
export function connectFeed(target: FeedTarget, signal: AbortSignal): Promise<FeedConnection> {
  return new Promise((resolve) => {
    const { host, port, serverName, authorities, token, from, takes, holds = 0, patience } = target;
    const sent = request({
      host,
      port,
      servername: serverName,
      ca: [...authorities],
      path: FEED_PATH,
      headers: {
        host: serverName,
        connection: 'Upgrade',
        upgrade: FEED_PROTOCOL,
        [TAKES_HEADER]: takes,
        ...(holds === 0 ? {} : { [HOLDS_HEADER]: String(holds) }),
        authorization: `Bearer ${token}`,
      },
      ...(from === undefined ? {} : { localAddress: from }),
      agent: false,
      signal,
    });
    const cancel = startDeadline(patience, () => sent.destroy(new Error('no response')));
    const settle = (connection: FeedConnection): void => {
      cancel();
      resolve(connection);
    };
    sent.on('upgrade', (response, socket, head) => {
      const { upgrade, [ACCEPTS_HEADER]: accepts = '' } = response.headers;
      if (upgrade === FEED_PROTOCOL) {
        settle({ kind: 'open', socket, head, accepts: String(accepts).split(/,\s*/) });
        return;
      }
      settle({ kind: 'refused', reason: `the controller speaks ${String(upgrade)}` });
      socket.destroy();
    });
    sent.on('response', (response) => {
      const { statusCode = 0, headers } = response;
      const leader = statusCode === 307 ? addressOf(headers.location ?? '') : undefined;
      const reason = `status ${statusCode} ${String(headers['sallyport-reason'])}`;
      settle(leader === undefined ? { kind: 'refused', reason } : { kind: 'elsewhere', ...leader });
      response.destroy();
    });
    sent.on('error', (error) => settle({ kind: 'refused', reason: error.message }));
    // After one of the others this changes nothing.
    sent.on('close', () => settle({ kind: 'refused', reason: 'closed' }));
    sent.end();
  });
}

/** How a stream is read. */
export interface Reading {
  /** Called for each frame, one after the other; the stream is not read meanwhile. Returns why it ends; undefined: it does not. */
  readonly onFrame: (frame: Frame) => Promise<string | undefined>;
  /** Largest payload of a frame. */
  readonly maxBytes: number;
  /** Longest time without a frame. */
  readonly silence: Limit;
  readonly signal: AbortSignal;
}

/** Reads frames until the stream ends. @returns why it ended */
export async function readFrames(
  { socket, head }: Pick<Extract<FeedConnection, { readonly kind: 'open' }>, 'socket' | 'head'>,
  { onFrame, maxBytes, silence, signal }: Reading,
): Promise<string> {
  const reader = new FrameReader(maxBytes);
  const stop = (): void => void socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  else socket.unshift(head);
  let cancel = startDeadline(silence, stop);
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      cancel();
      const frames = reader.push(chunk);
      if (frames === undefined) return 'invalid frame';
      for (const frame of frames) {
        const problem = await onFrame(frame);
        if (problem !== undefined) return problem;
      }
      cancel = startDeadline(silence, stop);
    }
    return 'ended';
  } catch (error) {
    return String(error);
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
    socket.destroy();
  }
}

/** The host and port of a controller in a URL; undefined for anything else. */
function addressOf(location: string): { readonly host: string; readonly port: number } | undefined {
  const url = URL.parse(location);
  if (url?.protocol !== 'https:' || url.hostname === '') return undefined;
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? 443 : Number(url.port) };
}
