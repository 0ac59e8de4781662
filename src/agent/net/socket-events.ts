/*
 * Reads sockets into the buffers of `ReadBuffers` (`onread`). Node.js offers that for outgoing sockets only; the handle of an accepted socket is
 * moved to a new socket for it. Where that fails, ordinary `data` events are used.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { nextTurn } from '../../limits/timers.ts';
import { OutgoingSocket } from './outgoing-socket.ts';
import { type BytesReceiver, ReadBuffers } from './read-buffers.ts';

/** Receives the events of a socket. */
export interface SocketEvents extends BytesReceiver {
  /** Bytes arrived in `buffer[0, length)`; the buffer is valid during the call only. */
  onBytes(buffer: Buffer, length: number): void;
  /** The peer has ended its side. */
  onEnd(): void;
  /** The write buffer has been emptied. */
  onDrain(): void;
  /** The socket is closed; called once. @param error why, if there was an error */
  onClose(error: Error | undefined): void;
}

/** Receives the events of a socket to the application. */
export interface OutgoingSocketEvents extends SocketEvents {
  /** A write failed; the socket stays readable, and `onEnd` or `onClose` follows. @param unsent see `WriteFailureHandler` */
  onWriteFailed(unsent: string | Buffer | undefined): void;
}

const CLIENT_WRITE_BUFFER = LIMITS.clientWriteBuffer.value;
const KEEP_ALIVE_DELAY_MS = LIMITS.keepAliveProbes.value;

/**
 * An accepted socket, whose events go to one receiver after the other: to what finds out the protocol, then to its codec. Requires a
 * server with `pauseOnConnect`.
 */
export class AcceptedSocket {
  readonly #accepted: Socket;
  readonly #isEncrypted: boolean;
  #socket: Socket | undefined;
  #events: SocketEvents | undefined;
  #buffers: ReadBuffers | undefined;

  /** @param isEncrypted `accepted` decrypts what another socket reads, so its handle cannot be moved */
  constructor(accepted: Socket, isEncrypted = false) {
    this.#accepted = accepted;
    this.#isEncrypted = isEncrypted;
  }

  /** The receiver of the last `attach`. */
  get events(): SocketEvents | undefined {
    return this.#events;
  }

  /** Reports to `events` from now on; the first call starts reading. @returns the socket to write to, the same for every call */
  attach(events: SocketEvents): Socket {
    this.#events = events;
    if (this.#buffers !== undefined) this.#buffers.receiver = events;
    this.#socket ??= this.#adopt(events);
    return this.#socket;
  }

  /** Delivers bytes that an earlier receiver has read. */
  deliver(buffer: Buffer, length: number): void {
    this.#events?.onBytes(buffer, length);
  }

  /**
   * Gives up the socket for one that decrypts what it reads: nothing is reported any longer.
   * @param bytes what an earlier receiver has read; the next reader of the socket gets it first
   */
  takeSocket(bytes: Buffer): Socket {
    const socket = this.attach(TAKEN);
    socket.pause();
    socket.unshift(bytes);
    return socket;
  }

  /** Delivers an end that an earlier receiver has read. */
  deliverEnd(): void {
    this.#events?.onEnd();
  }

  #adopt(events: SocketEvents): Socket {
    const accepted = this.#accepted;
    const handle: unknown = Reflect.get(accepted, '_handle');
    if (this.#isEncrypted || !takesStaticBuffer(handle)) {
      accepted.on('data', (chunk: Buffer) => this.#events?.onBytes(chunk, chunk.length));
      listen(accepted, () => this.#events ?? events);
      accepted.resume();
      return accepted;
    }
    Reflect.set(accepted, '_handle', null);
    const buffers = new ReadBuffers(events);
    this.#buffers = buffers;
    const options: object = {
      handle,
      allowHalfOpen: true,
      onread: readInto(buffers, () => socket),
      writableHighWaterMark: CLIENT_WRITE_BUFFER,
    };
    const socket: Socket = new Socket(options);
    listen(socket, () => this.#events ?? events, buffers);
    return socket;
  }
}

/** Of a socket that was given up. */
const TAKEN: SocketEvents = { isPassing: false, onBytes: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };

/** A socket that connects to `address` and reports to `events`. */
export function connectSocket(address: { readonly host: string; readonly port: number }, events: OutgoingSocketEvents): OutgoingSocket {
  const buffers = new ReadBuffers(events);
  const socket: OutgoingSocket = new OutgoingSocket({ allowHalfOpen: true, onread: readInto(buffers, () => socket) }, (unsent) =>
    events.onWriteFailed(unsent),
  );
  listen(socket, () => events, buffers);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
  socket.connect(address.port, address.host);
  return socket;
}

function readInto(buffers: ReadBuffers, socket: () => Socket): NonNullable<SocketConstructorOpts['onread']> {
  const isPaused = (): boolean => socket().isPaused();
  return {
    // Called before the first read and after each; Node.js keeps the buffer when it gets none.
    buffer: () => buffers.next(isPaused) as Buffer,
    callback: (length) => {
      if (buffers.deliver(length)) return true;
      nextTurn(() => readOn(socket()));
      return false;
    },
  };
}

/** Reads a socket again after the turn of the others, unless it was paused. */
function readOn(socket: Socket): void {
  if (!socket.destroyed && !socket.isPaused()) socket.resume();
}

function listen(socket: Socket, events: () => SocketEvents, buffers?: ReadBuffers): void {
  let failure: Error | undefined;
  socket.on('error', (error) => {
    failure = error;
    countExhaustion(error);
  });
  socket.on('end', () => events().onEnd());
  socket.on('drain', () => events().onDrain());
  socket.on('close', () => {
    buffers?.close();
    events().onClose(failure);
  });
}

/** Counts that a socket could not be opened because the process has too many files open. */
function countExhaustion(error: NodeJS.ErrnoException): void {
  if (error.code === 'EMFILE' || error.code === 'ENFILE') LIMITS.openFiles.hit();
}

function takesStaticBuffer(handle: unknown): boolean {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    typeof Reflect.get(handle, 'useUserBuffer') === 'function' &&
    typeof Reflect.get(handle, 'readStart') === 'function'
  );
}
