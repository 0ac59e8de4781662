/*
 * Reads sockets into one reused buffer (`onread`), on accepted sockets too, which Node offers only for outgoing ones:
 * the handle of an accepted socket is wrapped again. Where that does not work, ordinary `data` events do. In: sockets or
 * addresses. Out: calls on a {@link SocketEvents}. Called by listener and pool.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** What both kinds of connection do with their socket's events. */
export interface SocketEvents {
  /** Bytes arrived in `buffer[0, length)`; the buffer is reused when this returns. */
  onBytes(buffer: Buffer, length: number): void;
  /** The other side sends no more. */
  onEnd(): void;
  /** Everything that was queued has been written. */
  onDrain(): void;
  /** The socket is gone; called once. `error`: why, when there was one. */
  onClose(error: Error | undefined): void;
}

const KEEP_ALIVE_DELAY_MS = 60_000;

/** Every read of the process lands here; nothing outlives the callback it is handed to. */
const SCRATCH = Buffer.allocUnsafeSlow(64 * 1024);

/** The connected socket that now reports to `events`: `accepted` itself or one that has taken over its handle. Accept it with `pauseOnConnect`. */
export function adoptSocket(accepted: Socket, events: SocketEvents): Socket {
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (!takesStaticBuffer(handle)) {
    accepted.on('data', (chunk: Buffer) => events.onBytes(chunk, chunk.length));
    listen(accepted, events);
    accepted.resume();
    return accepted;
  }
  Reflect.set(accepted, '_handle', null);
  const options: object = { handle, allowHalfOpen: true, onread: readInto(events) };
  const socket = new Socket(options);
  listen(socket, events);
  return socket;
}

/** A socket that is connecting to `address` and reports to `events`. */
export function connectSocket(address: { readonly host: string; readonly port: number }, events: SocketEvents): Socket {
  const socket = new Socket({ allowHalfOpen: true, onread: readInto(events) });
  listen(socket, events);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  socket.connect(address.port, address.host);
  return socket;
}

function readInto(events: SocketEvents): NonNullable<SocketConstructorOpts['onread']> {
  return {
    buffer: SCRATCH,
    callback: (length) => {
      events.onBytes(SCRATCH, length);
      return true;
    },
  };
}

function listen(socket: Socket, events: SocketEvents): void {
  let failure: Error | undefined;
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('end', () => events.onEnd());
  socket.on('drain', () => events.onDrain());
  socket.on('close', () => events.onClose(failure));
}

function takesStaticBuffer(handle: unknown): boolean {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    typeof Reflect.get(handle, 'useUserBuffer') === 'function' &&
    typeof Reflect.get(handle, 'readStart') === 'function'
  );
}
