/*
 * Descriptions of the limits of HTTP/2, a part of `agent-limits-reference.ts`.
 */
import type { LimitName } from './agent-limits.ts';
import type { LimitReference } from './agent-limits-reference.ts';

type Http2LimitName = Extract<
  LimitName,
  | 'connectionStreams'
  | 'streams'
  | 'fewStreams'
  | 'someStreams'
  | 'requestsPerTurn'
  | 'rememberedStreams'
  | 'frameBytes'
  | 'batchBytes'
  | 'batchBuffers'
  | 'headerBlockBytes'
  | 'headerTableBytes'
  | 'cachedLiterals'
  | 'cachedLiteralBytes'
  | 'controlFrames'
  | 'emptyFrames'
  | 'earlyResets'
  | 'clientStreamWindow'
  | 'clientConnectionWindow'
  | 'connectionHeldBytes'
  | 'streamOutputBudget'
  | 'largestStreamWindow'
  | 'streamWindowGrowth'
  | 'upstreamStreams'
  | 'unknownUpstreamStreams'
  | 'upstreamStreamWindow'
  | 'upstreamConnectionWindow'
>;

/** Limits of HTTP/2 by their name in code. */
export const HTTP2_REFERENCE: Readonly<Record<Http2LimitName, LimitReference>> = {
  connectionStreams: {
    part: 'clients',
    bounds: 'open HTTP/2 streams of one client connection, as in Envoy',
    beyond: 'the stream is refused (REFUSED_STREAM), and the client may send it again',
  },
  streams: {
    part: 'clients',
    bounds: 'open HTTP/2 streams of all clients',
    beyond: 'the stream is refused (REFUSED_STREAM), and the client may send it again',
  },
  fewStreams: {
    part: 'clients',
    bounds: 'open streams of one connection below which it may use all of `streams`',
    beyond: 'it may use three quarters of them',
  },
  someStreams: {
    part: 'clients',
    bounds: 'open streams of one connection below which it may use three quarters of `streams`',
    beyond: 'it may use half of them',
  },
  requestsPerTurn: {
    part: 'clients',
    bounds: 'requests that one HTTP/2 connection may begin in a row',
    beyond: 'other connections are served before the rest',
  },
  rememberedStreams: {
    part: 'clients',
    bounds: 'HTTP/2 streams of one connection that were closed last, whose late frames are no fault',
    beyond: 'a late frame of an older one counts as a fault',
  },
  frameBytes: {
    part: 'clients',
    bounds: 'payload of an HTTP/2 frame, the smallest limit that the protocol allows',
    beyond: 'the connection ends with FRAME_SIZE_ERROR',
    labels: 'reason="refused"',
  },
  batchBytes: {
    part: 'clients',
    bounds: 'shared buffer for what one HTTP/2 connection writes in one turn of the event loop',
    beyond: 'a longer batch gets a buffer to itself',
  },
  batchBuffers: { part: 'clients', bounds: 'shared buffers that are kept', beyond: 'a further one is dropped' },
  headerBlockBytes: {
    part: 'clients',
    bounds: 'bytes of a header block before it is decoded, with all its CONTINUATION frames',
    beyond: 'the connection ends with ENHANCE_YOUR_CALM',
    labels: 'reason="overload"',
  },
  headerTableBytes: {
    part: 'clients',
    bounds: 'dynamic table of HPACK for one direction of a connection, as in Envoy',
    beyond: 'a peer that wants a larger one gets COMPRESSION_ERROR',
    labels: 'reason="refused"',
  },
  cachedLiterals: {
    part: 'clients',
    bounds: 'header values over HTTP/2 that are kept with their encoded bytes, because clients repeat them',
    beyond: 'a value takes the place of another',
  },
  cachedLiteralBytes: { part: 'clients', bounds: 'length of a value that is kept like this', beyond: 'it is decoded each time' },
  controlFrames: {
    part: 'clients',
    bounds: 'frames between two sweeps that bring no request: PING, SETTINGS (and each setting), PRIORITY, WINDOW_UPDATE, unknown types',
    beyond: 'the connection ends with ENHANCE_YOUR_CALM',
  },
  emptyFrames: {
    part: 'clients',
    bounds: 'DATA and CONTINUATION frames in a row without payload that end nothing, as in Envoy',
    beyond: 'the connection ends with ENHANCE_YOUR_CALM',
  },
  earlyResets: {
    part: 'clients',
    bounds: 'streams that a client resets before the response is complete, if they are more than half of its streams (as in Envoy)',
    beyond: 'the connection ends with ENHANCE_YOUR_CALM',
  },
  clientStreamWindow: {
    part: 'clients',
    bounds: 'bytes that a client may send on an HTTP/2 stream before they are passed on',
    beyond: 'the client waits',
  },
  clientConnectionWindow: { part: 'clients', bounds: 'the same for all streams of a connection', beyond: 'the client waits' },
  connectionHeldBytes: {
    part: 'clients',
    bounds: 'bytes of bodies that wait on one HTTP/2 connection while the window of the connection is still renewed',
    beyond: 'the client waits',
  },
  streamOutputBudget: {
    part: 'clients',
    bounds:
      'bytes that wait for the flow-control windows of HTTP/2 peers, and of responses over HTTP/2 that wait for their clients; of the whole process',
    beyond: 'streams that have waited longest are reset (ENHANCE_YOUR_CALM)',
  },
  largestStreamWindow: {
    part: 'clients',
    bounds: 'the window of a stream, either side, whose bytes are passed on as they arrive: it grows to this size, twofold each time',
    beyond: 'it grows no more; it returns to its first size when bytes have to be held',
  },
  streamWindowGrowth: {
    part: 'clients',
    bounds: 'what windows of streams have grown; of the whole process',
    beyond: 'no window grows',
  },
  upstreamStreams: {
    part: 'application',
    bounds: 'exchanges at a time on one HTTP/2 connection, if the application allows as many',
    beyond: 'another connection is opened',
  },
  unknownUpstreamStreams: {
    part: 'application',
    bounds: 'exchanges at a time before the application has said how many it allows',
    beyond: 'another connection is opened',
  },
  upstreamStreamWindow: {
    part: 'application',
    bounds: 'bytes that the application may send on an HTTP/2 stream before they are passed on',
    beyond: 'the application waits',
  },
  upstreamConnectionWindow: { part: 'application', bounds: 'the same for all streams of a connection', beyond: 'the application waits' },
};
