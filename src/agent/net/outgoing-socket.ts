/*
 * A socket to the application that stays readable when writing fails. An application that answers before it has read a request, and
 * closes, resets the connection; its response may be in our receive buffer already, and Node.js would drop it with the socket.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** Receives the first write that fails. @param unsent the first bytes since `beginMessage`, none of which was sent; undefined: some may have been */
export type WriteFailureHandler = (unsent: string | Buffer | undefined) => void;

type Callback = (error?: Error | null) => void;

/** Reports the first failed write and discards everything that is written later; the connection ends when its input ends. */
export class OutgoingSocket extends Socket {
  readonly #onWriteFailed: WriteFailureHandler;
  readonly #onWritten: Callback;
  #callback: Callback | undefined;
  /** What a write that is being tried holds, if it is the first of a message. */
  #first: string | Buffer | undefined;
  #atStart = false;
  #failed = false;

  constructor(options: SocketConstructorOpts, onWriteFailed: WriteFailureHandler) {
    super(options);
    this.#onWriteFailed = onWriteFailed;
    // A stream has at most one write in progress, so one callback serves all of them.
    this.#onWritten = (error) => this.#written(error);
  }

  /** What is written next begins a message. */
  beginMessage(): void {
    this.#atStart = true;
  }

  override _write(chunk: string | Buffer, encoding: BufferEncoding, callback: Callback): void {
    if (this.#failed) {
      callback();
      return;
    }
    this.#callback = callback;
    if (this.#atStart) {
      this.#atStart = false;
      this.#first = chunk;
    }
    super._write(chunk, encoding, this.#onWritten);
    // A write that fails later than here may have sent a part.
    this.#first = undefined;
  }

  override _writev(chunks: { chunk: string | Buffer; encoding: BufferEncoding }[], callback: Callback): void {
    if (this.#failed) {
      callback();
      return;
    }
    this.#callback = callback;
    this.#atStart = false;
    super._writev?.(chunks, this.#onWritten);
  }

  #written(error: Error | null | undefined): void {
    const callback = this.#callback;
    this.#callback = undefined;
    if (error && !this.destroyed) {
      this.#failed = true;
      this.#onWriteFailed(this.#first);
    }
    callback?.();
  }
}
