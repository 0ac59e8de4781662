/*
 * Cases over HTTP/2 that do not do the same at the agent and at Envoy.
 */

/** Cases that differ for one reason. */
export interface Http2Difference {
  readonly cases: readonly string[];
  /** What may differ. */
  readonly differs: readonly ('status' | 'connection' | 'application')[];
  readonly why: string;
  /** Heading of docs/differences.md. */
  readonly documented: string;
}

export const HTTP2_DIFFERENCES: readonly Http2Difference[] = [
  {
    cases: ['trailers: content-length', 'trailers: host'],
    differs: ['status', 'connection', 'application'],
    why: 'Envoy passes trailers on that frame a message or name its host; the agent refuses them.',
    documented: 'http2-trailers',
  },
  {
    cases: ['length: zero', 'length: 0 and a hidden request'],
    differs: ['application'],
    why: 'Envoy forwards the head of a request of length 0 before its end has come, and resets the stream for the body; the agent waits for the end.',
    documented: 'http2-length-zero',
  },
  {
    cases: ['length: "03"'],
    differs: ['application'],
    why: 'The agent writes the length from what it read.',
    documented: 'wire-framing-rewritten',
  },
  {
    cases: ['trailers: behind a length that is not reached', 'size: 90000 bytes', 'frames: DATA behind the end'],
    differs: ['status', 'connection', 'application'],
    why: 'Envoy ends the connection; the agent resets the stream.',
    documented: 'http2-stream-errors',
  },
  {
    cases: ['frames: HEADERS behind the end'],
    differs: ['application'],
    why: 'Both end the connection; Envoy serves the request before it.',
    documented: 'http2-closed-stream',
  },
  {
    cases: ['frames: GOAWAY'],
    differs: ['status', 'connection'],
    why: 'Envoy ends the connection of a client that says it goes away; the agent serves what it sends until it does.',
    documented: 'http2-goaway',
  },
  {
    cases: ['frames: PRIORITY that depends on itself'],
    differs: ['status', 'connection', 'application'],
    why: 'The agent ends the connection; Envoy ignores priorities.',
    documented: 'http2-dependency',
  },
  {
    cases: ['frames: 5,000 PING frames'],
    differs: ['status', 'connection', 'application'],
    why: 'The agent ends the connection before the request; Envoy may serve it first.',
    documented: 'http2-control-frames',
  },
  {
    cases: ['pseudo: protocol with CONNECT'],
    differs: ['application'],
    why: 'Envoy sends no key of a WebSocket, the agent makes one.',
    documented: 'http2-websocket-key',
  },
  {
    cases: ['protocol: "connect-udp"'],
    differs: ['status'],
    why: 'Envoy knows the protocol and has no route for it.',
    documented: 'http2-connect-protocol',
  },
];
