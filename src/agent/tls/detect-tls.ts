/*
 * Finds out whether a client begins a TLS connection where it may also speak plain text. Everything else is left to what reads the socket.
 */
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';
import { isTlsRecord } from './client-hello.ts';

/**
 * Reads the first bytes of a client before what is attached to its socket, which receives everything if they are not TLS.
 * @param onTls the bytes begin TLS; the owner attaches what reads them. @returns false: it is too late, and the bytes are for the former reader
 */
export function detectTls(accepted: AcceptedSocket, onTls: () => boolean): void {
  const plain = accepted.events;
  if (plain !== undefined) accepted.attach(new Detection(accepted, plain, onTls));
}

class Detection implements SocketEvents {
  readonly isPassing = false;
  readonly #accepted: AcceptedSocket;
  readonly #plain: SocketEvents;
  readonly #onTls: () => boolean;

  constructor(accepted: AcceptedSocket, plain: SocketEvents, onTls: () => boolean) {
    this.#accepted = accepted;
    this.#plain = plain;
    this.#onTls = onTls;
  }

  onBytes(buffer: Buffer, length: number): void {
    const isTls = isTlsRecord(buffer.subarray(0, length)) && this.#onTls();
    if (!isTls) this.#accepted.attach(this.#plain);
    this.#accepted.deliver(buffer, length);
  }

  onEnd(): void {
    this.#accepted.attach(this.#plain);
    this.#plain.onEnd();
  }

  onDrain(): void {
    this.#plain.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.#plain.onClose(error);
  }
}
