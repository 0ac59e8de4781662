/*
 * Lets connections in as far as they can be served: those of ten thousand agents that connect again at the same time wait for their turn, untouched, which is
 * quicker for all of them than to be reset and to try again.
 */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';

/** Limits of connections. */
export interface ConnectionLimits {
  /** Connections of one address, those that wait included. */
  readonly perAddress: number;
  /** Connections that are being identified. */
  readonly unidentified: number;
  /** Connections that wait for that. */
  readonly waiting: number;
  /** Longest wait in milliseconds. */
  readonly waitMs: number;
}

/** The connections of a server. */
export interface HeldConnections {
  /** The connection, or the TLS on it, has a stream from now on. */
  readonly onIdentified: (socket: Socket) => void;
  /** Ends those without a stream. */
  readonly close: () => void;
}

/** Takes the connections of `server`, which has to be created with `pauseOnConnect`, before it does. Resets those beyond the limits. */
export function holdConnections(server: Server, limits: ConnectionLimits, clock: Clock): HeldConnections {
  const byAddress = new Map<string, number>();
  const unidentified = new Map<string, Socket>();
  /** What ends the wait of a connection. */
  const waiting = new Map<Socket, () => void>();
  const listeners = server.listeners('connection');
  const letIn = (socket: Socket): void => {
    const peer = peerOf(socket);
    unidentified.set(peer, socket);
    socket.on('close', () => leave(peer));
    for (const listener of listeners) Reflect.apply(listener, server, [socket]);
  };
  const letNextIn = (): void => {
    for (const [socket, cancel] of waiting) {
      if (unidentified.size >= limits.unidentified) return;
      waiting.delete(socket);
      cancel();
      if (!socket.destroyed) letIn(socket);
    }
  };
  const leave = (peer: string): void => {
    if (unidentified.delete(peer)) letNextIn();
  };
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const count = byAddress.get(address) ?? 0;
    const isFull = unidentified.size >= limits.unidentified;
    if (count >= limits.perAddress || (isFull && waiting.size >= limits.waiting)) {
      socket.resetAndDestroy();
      return;
    }
    byAddress.set(address, count + 1);
    // A client that leaves while it waits.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      waiting.get(socket)?.();
      waiting.delete(socket);
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left === 0) byAddress.delete(address);
      else byAddress.set(address, left);
    });
    if (!isFull) letIn(socket);
    else
      waiting.set(
        socket,
        clock.after(limits.waitMs, () => socket.resetAndDestroy()),
      );
  });
  return {
    onIdentified: (socket) => leave(peerOf(socket)),
    close: () => {
      for (const socket of [...waiting.keys(), ...unidentified.values()]) socket.destroy();
    },
  };
}

/** The same for a connection and for the TLS on it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
