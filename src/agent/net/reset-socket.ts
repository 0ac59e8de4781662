/*
 * Ends a connection by a reset where that ends it now.
 */
import type { Socket } from 'node:net';

/**
 * Resets `socket`. `resetAndDestroy` of Node.js waits until everything is written, which may never be, and never reports the end of a socket
 * that is shutting down its side: those are closed. A TLS connection is closed without the alert that ends it, which its peer takes for an error.
 */
export function resetSocket(socket: Socket): void {
  if ('encrypted' in socket || socket.connecting || socket.writableEnded || socket.writableLength > 0) socket.destroy();
  else socket.resetAndDestroy();
}
