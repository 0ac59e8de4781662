/*
 * Numbers of HTTP/2 frames (RFC 9113 sections 6, 7 and 11).
 */

import { LIMITS } from '../../limits/agent-limits.ts';

/** What a client sends first. */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Bytes at the start of a frame. */
export const FRAME_HEAD_BYTES = 9;

/** Longest payload that either side sends: the smallest limit that a peer may have, and the only one that we announce. */
export const PAYLOAD_BYTES: number = LIMITS.frameBytes.value;

/** Frame types. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames; `ack` and `endStream` are the same bit of different types. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

/** Error codes of RST_STREAM and GOAWAY. */
export const H2_ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** One of {@link H2_ERROR} in what we send; any number in what we receive. */
export type H2Error = number;

/** Settings. */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  /** RFC 8441 section 3. */
  enableConnectProtocol: 8,
} as const;

/** Flow-control window of a connection, and of a stream without a setting. */
export const DEFAULT_WINDOW = 65_535;
/** Largest flow-control window. */
export const LARGEST_WINDOW = 0x7fff_ffff;
