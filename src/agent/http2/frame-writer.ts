/*
 * Writes the frames of one connection (RFC 9113 section 6) into a batch of output.
 */
import type { Socket } from 'node:net';
import type { HeaderList } from '../../http/header-list.ts';
import { FLAG, FRAME, type H2Error, PAYLOAD_BYTES } from './frames.ts';
import { ByteWriter } from './hpack/byte-writer.ts';
import { encodeField } from './hpack/encode.ts';

/** The frames that wait to be sent. */
export class FrameWriter {
  readonly #out = new ByteWriter();
  /** Stream of the last frame, if END_STREAM can still be set on it; 0: it cannot. */
  #lastStream = 0;

  /** Bytes that are no frame: the preface of a client. */
  raw(bytes: Buffer): void {
    this.#out.bytes(bytes, 0, bytes.length);
  }

  /** Settings that differ from the defaults. */
  settings(settings: readonly (readonly [setting: number, value: number])[]): void {
    this.#head(settings.length * 6, FRAME.settings, 0, 0);
    for (const [setting, value] of settings) {
      this.#out.byte(0);
      this.#out.byte(setting);
      this.#out.uint32(value);
    }
  }

  /** Acknowledges the settings of the peer. */
  settingsAck(): void {
    this.#head(0, FRAME.settings, FLAG.ack, 0);
  }

  /** Answers a PING with the 8 bytes from `start`. */
  pingAck(buffer: Buffer, start: number): void {
    this.#head(8, FRAME.ping, FLAG.ack, 0);
    this.#out.bytes(buffer, start, start + 8);
  }

  /** One DATA frame of at most {@link PAYLOAD_BYTES} bytes. */
  data(streamId: number, buffer: Buffer, start: number, end: number): void {
    this.#head(end - start, FRAME.data, 0, streamId);
    this.#out.payload(buffer, start, end);
    this.#lastStream = streamId;
  }

  /** Sets END_STREAM on what was written last if it belongs to the stream, or writes an empty frame. */
  end(streamId: number): void {
    if (this.#lastStream === streamId) {
      this.#out.setFlags(FLAG.endStream);
      this.#lastStream = 0;
    } else this.#head(0, FRAME.data, FLAG.endStream, streamId);
  }

  /** A header block with these fields. */
  fields(streamId: number, fields: HeaderList): void {
    this.block(streamId, (out) => {
      for (let at = 0; at < fields.length; at += 2) encodeField(out, fields[at] as string, fields[at + 1] as string);
    });
  }

  /** The header block that `encode` writes: a HEADERS frame, and CONTINUATION frames where it is too long for one. */
  block(streamId: number, encode: (out: ByteWriter) => void): void {
    const out = this.#out;
    this.#head(0, FRAME.headers, FLAG.endHeaders, streamId);
    encode(out);
    if (out.blockLength > PAYLOAD_BYTES) this.#split(streamId, out.takeBlock());
    else out.closeBlock();
    this.#lastStream = streamId;
  }

  /** Resets a stream. */
  reset(streamId: number, error: H2Error): void {
    this.#head(4, FRAME.rstStream, 0, streamId);
    this.#out.uint32(error);
  }

  /** Opens a window; stream 0 is the connection. */
  windowUpdate(streamId: number, bytes: number): void {
    this.#head(4, FRAME.windowUpdate, 0, streamId);
    this.#out.uint32(bytes);
  }

  /** Announces the last stream of the peer that is served. */
  goaway(lastStreamId: number, error: H2Error): void {
    this.#head(8, FRAME.goaway, 0, 0);
    this.#out.uint32(lastStreamId);
    this.#out.uint32(error);
  }

  /** Hands everything to `socket`. */
  send(socket: Socket): void {
    this.#lastStream = 0;
    this.#out.send(socket);
  }

  #head(length: number, type: number, flags: number, streamId: number): void {
    this.#lastStream = 0;
    this.#out.frameHead(length, type, flags, streamId);
  }

  #split(streamId: number, block: Buffer): void {
    const out = this.#out;
    for (let at = 0; at < block.length; at += PAYLOAD_BYTES) {
      const end = Math.min(block.length, at + PAYLOAD_BYTES);
      const flags = end === block.length ? FLAG.endHeaders : 0;
      if (at === 0) out.frameHead(end - at, FRAME.headers, flags, streamId);
      else out.continuationHead(end - at, FRAME.continuation, flags, streamId);
      out.bytes(block, at, end);
    }
  }
}
