/*
 * A request for a tunnel that waits for the settings of the application: they say whether it may be sent (RFC 8441 section 3).
 */
import type { ForwardHead } from '../../http/heads.ts';
import type { ClientStream, ClientStreamHandler, StreamRequest, UpstreamFailure } from '../../http/stream.ts';

/** Stands for a stream until it is opened. Nothing of the client follows before the response, so nothing has to be kept. */
export class AwaitedTunnel implements ClientStream {
  readonly #head: ForwardHead;
  readonly #request: StreamRequest;
  #handler: ClientStreamHandler | undefined;
  #stream: ClientStream | undefined;

  constructor(head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler) {
    this.#head = head;
    this.#request = request;
    this.#handler = handler;
  }

  get reused(): boolean {
    return false;
  }

  /** The settings have come. */
  start(open: (head: ForwardHead, request: StreamRequest, handler: ClientStreamHandler) => ClientStream): void {
    const handler = this.#handler;
    this.#handler = undefined;
    if (handler !== undefined) this.#stream = open(this.#head, this.#request, handler);
  }

  /** The connection is gone. */
  fail(failure: UpstreamFailure, reason: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onUpstreamFailure(failure, reason);
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    this.#stream?.sendData(buffer, start, end);
  }

  end(): void {
    this.#stream?.end();
  }

  flush(): boolean {
    return this.#stream?.flush() ?? true;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  reset(): void {
    this.#handler = undefined;
    this.#stream?.reset();
  }
}
