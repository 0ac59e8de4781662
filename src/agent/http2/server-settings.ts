/*
 * What the server side of a connection announces and holds its clients to.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import type { ConnectionWindows } from './connection.ts';
import { SETTING } from './frames.ts';
import type { DecoderLimits } from './hpack/decoder.ts';

/** Windows of clients. */
export const WINDOWS: ConnectionWindows = {
  stream: LIMITS.clientStreamWindow.value,
  connection: LIMITS.clientConnectionWindow.value,
  held: LIMITS.connectionHeldBytes.value,
};

/** Limits of a header list. */
export const HEAD_LIMITS: DecoderLimits = { listBytes: LIMITS.requestHeadBytes.value, fields: LIMITS.requestHeaders.value };

/** Most open streams. */
export const MAX_STREAMS: number = LIMITS.connectionStreams.value;

/** Settings that differ from the defaults. */
export const SETTINGS: readonly (readonly [setting: number, value: number])[] = [
  [SETTING.maxConcurrentStreams, MAX_STREAMS],
  [SETTING.initialWindowSize, WINDOWS.stream],
  [SETTING.maxHeaderListSize, HEAD_LIMITS.listBytes],
  [SETTING.enableConnectProtocol, 1],
];
