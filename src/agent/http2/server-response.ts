/*
 * The response half of one request over HTTP/2: heads, interim responses and local replies.
 */
import type { LocalReply } from '../../http/local-reply.ts';
import type { ResponseHead } from '../../http/stream.ts';
import type { Http2ServerHost } from './server-host.ts';
import { Http2Stream, type StreamOwner, type StreamWindows } from './stream.ts';
import { encodeInterim, encodeReply, encodeResponse, encodeSwitched } from './write-response.ts';

/** What a server stream sends. */
export abstract class Http2ServerResponse extends Http2Stream {
  protected readonly host: Http2ServerHost;
  /** The response to HEAD has no body. */
  protected isHead = false;
  /** The client waits for `100 Continue`, or for a final response, before it sends its body. */
  protected expectsContinue = false;
  #wasContinued = false;

  constructor(id: number, owner: StreamOwner, host: Http2ServerHost, windows: StreamWindows) {
    super(id, owner, windows);
    this.host = host;
  }

  sendInterim(head: ResponseHead): void {
    if (head.status === 100) {
      if (this.#wasContinued) return;
      this.#wasContinued = true;
      this.expectsContinue = false;
    }
    this.owner.writeBlock(this, (out) => encodeInterim(out, head));
  }

  sendHead(head: ResponseHead): void {
    this.owner.writeBlock(this, (out) => encodeResponse(out, head, this.host.date));
  }

  sendData(buffer: Buffer, start: number, end: number): void {
    if (end > start) this.send(buffer, start, end);
  }

  flush(): boolean {
    return this.keepsUp();
  }

  /** Asks for the body of a client that waits. */
  protected sendContinue(): void {
    if (this.expectsContinue && !this.isRemoteEnded) this.sendInterim(CONTINUE);
  }

  protected sendSwitched(head: ResponseHead): void {
    this.owner.writeBlock(this, (out) => encodeSwitched(out, head, this.host.date));
  }

  protected sendReply(reply: LocalReply): void {
    const body = reply.bytes === undefined ? Buffer.from(reply.body) : Buffer.from(reply.bytes);
    this.owner.writeBlock(this, (out) => encodeReply(out, reply, body.length, this.host.date));
    if (body.length > 0 && !this.isHead) this.send(body, 0, body.length);
    this.endOutput(undefined);
  }
}

const CONTINUE: ResponseHead = { status: 100, reason: '', headers: [], body: 0 };
