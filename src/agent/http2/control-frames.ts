/*
 * Reads PING and PRIORITY frames (RFC 9113 sections 6.3 and 6.7).
 */
import type { ControlCredit } from './control-credit.ts';
import type { FrameView } from './frame-reader.ts';
import type { FrameWriter } from './frame-writer.ts';
import { FLAG, H2_ERROR, type H2Error, LARGEST_WINDOW } from './frames.ts';

/** Answers a PING. @returns the fault that ends the connection; `none`: it is valid */
export function takePing({ flags, streamId, buffer, start, end }: FrameView, control: ControlCredit, out: FrameWriter): H2Error {
  if (streamId !== 0) return H2_ERROR.protocol;
  if (end - start !== 8) return H2_ERROR.frameSize;
  if (!control.spend()) return H2_ERROR.enhanceYourCalm;
  if ((flags & FLAG.ack) === 0) out.pingAck(buffer, start);
  return H2_ERROR.none;
}

/** Validates a PRIORITY frame, which has no effect. @returns the fault that ends the connection; `none`: it is valid */
export function takePriority({ streamId, buffer, start, end }: FrameView, control: ControlCredit): H2Error {
  if (streamId === 0) return H2_ERROR.protocol;
  if (end - start !== 5) return H2_ERROR.frameSize;
  if (!control.spend()) return H2_ERROR.enhanceYourCalm;
  return (buffer.readUInt32BE(start) & LARGEST_WINDOW) === streamId ? H2_ERROR.protocol : H2_ERROR.none;
}
