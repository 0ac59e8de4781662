/*
 * Reads SETTINGS frames (RFC 9113 section 6.5).
 */
import { DEFAULT_WINDOW, H2_ERROR, type H2Error, LARGEST_WINDOW, PAYLOAD_BYTES, SETTING } from './frames.ts';

const LARGEST_FRAME_SIZE = 2 ** 24 - 1;

/** What the peer has announced. The size of its header table does not matter: what we encode needs none. */
export class PeerSettings {
  /** The first SETTINGS frame has come. */
  isKnown = false;
  /** Initial window of a stream. */
  streamWindow: number = DEFAULT_WINDOW;
  /** Requests may be sent with `:protocol`. */
  enablesConnect = false;
  /** Most streams that we may open. */
  maxStreams: number = LARGEST_WINDOW;

  /** Takes the payload `buffer[start, end)`. @returns the fault that ends the connection; `none`: it is valid */
  apply(buffer: Buffer, start: number, end: number): H2Error {
    if ((end - start) % 6 !== 0) return H2_ERROR.frameSize;
    for (let at = start; at < end; at += 6) {
      const error = this.#set(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
      if (error !== H2_ERROR.none) return error;
    }
    this.isKnown = true;
    return H2_ERROR.none;
  }

  #set(setting: number, value: number): H2Error {
    switch (setting) {
      case SETTING.enablePush:
        return value > 1 ? H2_ERROR.protocol : H2_ERROR.none;
      case SETTING.maxConcurrentStreams:
        this.maxStreams = value;
        return H2_ERROR.none;
      case SETTING.initialWindowSize:
        this.streamWindow = value;
        return value > LARGEST_WINDOW ? H2_ERROR.flowControl : H2_ERROR.none;
      case SETTING.maxFrameSize:
        return value < PAYLOAD_BYTES || value > LARGEST_FRAME_SIZE ? H2_ERROR.protocol : H2_ERROR.none;
      case SETTING.enableConnectProtocol:
        // It is not taken back (RFC 8441 section 3).
        if (value > 1 || (value === 0 && this.enablesConnect)) return H2_ERROR.protocol;
        this.enablesConnect = value === 1;
        return H2_ERROR.none;
      default:
        return H2_ERROR.none;
    }
  }
}
