/*
 * Limits the connections of an HTTP server without letting idle clients keep others out.
 */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';

interface Connection {
  readonly socket: Socket;
  /** Number of requests in progress. */
  requests: number;
}

/**
 * Closes the oldest connection without a request for each one beyond `max`; the new one when all others have requests. Also for TLS
 * servers, where a connection counts before its handshake.
 */
export function limitConnections(server: HttpServer | HttpsServer, max: number): void {
  // A TLS socket is not the socket of the `connection` event; both have the address of the client.
  const byClient = new Map<string, Connection>();
  server.on('connection', (socket: Socket) => {
    if (byClient.size >= max && !closeOldest(byClient)) {
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    const connection = { socket, requests: 0 };
    byClient.set(key, connection);
    socket.on('close', () => {
      if (byClient.get(key) === connection) byClient.delete(key);
    });
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = byClient.get(keyOf(request.socket));
    if (connection === undefined) return;
    connection.requests += 1;
    response.on('close', () => {
      connection.requests -= 1;
    });
  });
}

/** @returns false: all have requests */
function closeOldest(byClient: Map<string, Connection>): boolean {
  for (const [key, { socket, requests }] of byClient) {
    if (requests > 0) continue;
    byClient.delete(key);
    socket.destroy();
    return true;
  }
  return false;
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
