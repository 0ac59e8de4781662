/*
 * Finds out whether a client speaks HTTP/2 with prior knowledge: it begins with a preface that no request of HTTP/1.1 begins with
 * (RFC 9113 section 3.4). Everything else is left to the HTTP/1.1 codec.
 */
import { PREFACE } from '../http2/frames.ts';
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';

/** What follows when the protocol of a client is known. */
export interface DetectionOwner {
  /** The codec that reads the socket unless the client sends the preface. */
  readonly http1: SocketEvents;
  /** The preface has begun and is not complete. */
  onPrefaceBegun(): void;
  /** The client has sent the preface. @returns the codec that has taken the socket over */
  onPreface(): SocketEvents;
  /** The client has agreed on HTTP/2 with ALPN and sends something else. Absent: it has agreed on nothing, and the codec reads it. */
  readonly onNoPreface?: () => void;
}

/** Reads the first bytes of a client, then attaches its codec to the socket. */
export function detectHttp2(accepted: AcceptedSocket, owner: DetectionOwner): void {
  accepted.attach(new Detection(accepted, owner));
}

class Detection implements SocketEvents {
  readonly #accepted: AcceptedSocket;
  readonly #owner: DetectionOwner;
  /** Bytes of the preface that have arrived. */
  #matched = 0;

  constructor(accepted: AcceptedSocket, owner: DetectionOwner) {
    this.#accepted = accepted;
    this.#owner = owner;
  }

  get isPassing(): boolean {
    return false;
  }

  onBytes(buffer: Buffer, length: number): void {
    const before = this.#matched;
    const more = Math.min(length, PREFACE.length - before);
    if (PREFACE.compare(buffer, 0, more, before, before + more) !== 0) {
      if (this.#owner.onNoPreface !== undefined) {
        this.#owner.onNoPreface();
        return;
      }
      this.#giveUp();
      this.#owner.http1.onBytes(buffer, length);
      return;
    }
    this.#matched += more;
    if (this.#matched < PREFACE.length) {
      this.#owner.onPrefaceBegun();
      return;
    }
    const codec = this.#owner.onPreface();
    if (length > more) codec.onBytes(Buffer.from(buffer.subarray(more, length)), length - more);
  }

  onEnd(): void {
    this.#giveUp();
    this.#owner.http1.onEnd();
  }

  onDrain(): void {
    this.#owner.http1.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.#owner.http1.onClose(error);
  }

  /** It is not the preface: the HTTP/1.1 codec gets what has arrived of it. */
  #giveUp(): void {
    const { http1 } = this.#owner;
    this.#accepted.attach(http1);
    if (this.#matched > 0) http1.onBytes(Buffer.from(PREFACE.subarray(0, this.#matched)), this.#matched);
  }
}
