/*
 * The connection of one TCP client to the application.
 */
import { MessageWriter } from '../net/message-writer.ts';
import type { OutgoingSocket } from '../net/outgoing-socket.ts';
import { resetSocket } from '../net/reset-socket.ts';
import { connectSocket, type OutgoingSocketEvents } from '../net/socket-events.ts';

/** Receives what the application does. */
export interface TcpUpstreamReceiver {
  /** Bytes in `buffer[0, length)`, valid during the call only. */
  onUpstreamBytes(buffer: Buffer, length: number): void;
  /** The application sends no more. */
  onUpstreamEnd(): void;
  /** The application has read what was written. */
  onUpstreamDrain(): void;
  /** Called once. @param error why, if there was an error */
  onUpstreamClosed(error: Error | undefined): void;
}

/** Receives what a connection does that is given up. */
export const DROPPED: TcpUpstreamReceiver = {
  onUpstreamBytes: () => {},
  onUpstreamEnd: () => {},
  onUpstreamDrain: () => {},
  onUpstreamClosed: () => {},
};

/** Its events go to one receiver after the other: to what finds out the protocol, then to the TCP connection. */
export class TcpUpstream implements OutgoingSocketEvents {
  receiver: TcpUpstreamReceiver;
  readonly isPassing = true;
  /** Monotonic milliseconds by which it must be established; 0: it is. */
  #deadlineMs: number;
  readonly #socket: OutgoingSocket;
  #ended = false;
  #failed = false;
  readonly #out: MessageWriter;

  constructor(address: { readonly host: string; readonly port: number }, receiver: TcpUpstreamReceiver, deadlineMs: number) {
    this.receiver = receiver;
    this.#deadlineMs = deadlineMs;
    this.#socket = connectSocket(address, this);
    this.#out = new MessageWriter(this.#socket);
    this.#socket.once('connect', () => {
      this.#deadlineMs = 0;
    });
  }

  /** The connection could not be established in time. */
  isLate(nowMs: number): boolean {
    return this.#deadlineMs !== 0 && this.#deadlineMs <= nowMs;
  }

  /** Sends `buffer[start, end)`. @returns false: the application does not keep up, wait for `onUpstreamDrain` */
  write(buffer: Buffer, start: number, end: number): boolean {
    this.#out.writeBytes(buffer, start, end);
    return this.#out.flush();
  }

  /** Sends no more. */
  end(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Resets the connection. */
  reset(): void {
    resetSocket(this.#socket);
  }

  onBytes(buffer: Buffer, length: number): void {
    this.receiver.onUpstreamBytes(buffer, length);
  }

  onEnd(): void {
    this.#ended = true;
    this.receiver.onUpstreamEnd();
    if (this.#failed) this.#socket.destroy();
  }

  onDrain(): void {
    this.receiver.onUpstreamDrain();
  }

  /** The application takes nothing more; what it has sent before is still read. */
  onWriteFailed(): void {
    this.#failed = true;
    if (this.#ended) this.#socket.destroy();
  }

  onClose(error: Error | undefined): void {
    this.receiver.onUpstreamClosed(error);
  }
}
