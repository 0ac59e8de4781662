/*
 * Descriptions of the limits, for the reference page. Apart from `agent-limits.ts`, because the agent would carry them in its memory.
 */
import type { LimitName } from './agent-limits.ts';
import { CAPTURE_LIMITS_REFERENCE } from './capture-limits-reference.ts';
import { EVALUATION_REFERENCE } from './evaluation-limits-reference.ts';
import { FEED_LIMITS_REFERENCE } from './feed-limits-reference.ts';
import { HTTP2_REFERENCE } from './http2-limits-reference.ts';
import { LOG_LIMITS_REFERENCE } from './log-limits-reference.ts';
import { TRACE_LIMITS_REFERENCE } from './trace-limits-reference.ts';

/** One row of the reference page; Markdown without a final period. */
export interface LimitReference {
  readonly part: LimitPart;
  readonly bounds: string;
  /** How to set it; absent: it is fixed. */
  readonly set?: string;
  /** What happens beyond it. */
  readonly beyond: string;
  /** Part of the metric's labels that the limit is counted under. */
  readonly labels?: string;
}

/** A section of the page. */
export type LimitPart = 'clients' | 'application' | 'ext_authz' | 'admin' | 'logs' | 'traces' | 'profiles' | 'bundles' | 'tokens';

const CODEC = 'reason="codec"';
const DISCARDED = 'reason="discarded"';
const NOTHING = 'nothing is lost';

/** Every limit by its name in code. */
export const AGENT_LIMITS_REFERENCE: Readonly<Record<LimitName, LimitReference>> = {
  clientConnections: {
    part: 'clients',
    bounds: 'open client connections of one port',
    set: 'flag `--max-connections`; fewer when `open-files` does not allow as many, which is logged at the start',
    beyond: 'the new connection is reset',
  },
  openFiles: {
    part: 'clients',
    bounds: 'file descriptors of the process',
    set: '`ulimit -n` of the container',
    beyond: 'a connection to the application fails: 503',
  },
  reservedDescriptors: {
    part: 'clients',
    bounds: 'file descriptors that connections may not use',
    beyond: '`client-connections` and `admin-connections` are lowered until they fit',
  },
  acceptBacklog: {
    part: 'clients',
    bounds: 'connections that the kernel keeps until they are accepted',
    beyond: 'the kernel drops the SYN; the client repeats it',
  },
  requestHeadBytes: { part: 'clients', bounds: 'request line and header fields', beyond: '431, connection closed', labels: CODEC },
  requestHeaders: { part: 'clients', bounds: 'header fields of a request', beyond: '431, connection closed', labels: CODEC },
  requestHeadTime: {
    part: 'clients',
    bounds: 'time from the first byte of a head to its last',
    beyond: '408, connection closed',
    labels: CODEC,
  },
  requestBodyIdleTime: {
    part: 'clients',
    bounds: 'time between two reads of a request body',
    beyond: '408 or, once a response has begun, a reset',
    labels: CODEC,
  },
  clientIdleTime: {
    part: 'clients',
    bounds: 'time without a request on a connection',
    beyond: 'the connection is closed',
    labels: 'reason="idle"',
  },
  requestDeadline: {
    part: 'clients',
    bounds: 'time of a request with `grpc-timeout`, from its head to the end of the response',
    set: 'the client, with that header; a longer time sets no deadline',
    beyond: '504 or, while its body is being sent, 408; gRPC: `grpc-status: 4`; once a response has begun, a reset',
  },
  chunkNoiseBytes: {
    part: 'clients',
    bounds: 'chunk extensions and trailers of one body, either way',
    beyond: '400; in a response the connection is reset',
    labels: CODEC,
  },
  pausedInputBytes: {
    part: 'clients',
    bounds: 'bytes kept that arrived behind the request at hand',
    beyond: 'the client is not read until they are used',
  },
  searchedInputBytes: {
    part: 'clients',
    bounds:
      'bytes of the same that are kept to find the end of the connection behind them, while less than an eighth of `client-input-bytes` is used',
    beyond: 'an end is noticed when the bytes before it are used; a reset is noticed',
  },
  clientInputBudget: {
    part: 'clients',
    bounds: 'bytes of unfinished heads, of bodies before their check and behind requests at hand, all connections together',
    beyond: '503 to the request that needs more, connection closed',
  },
  clientOutputBudget: {
    part: 'clients',
    bounds: 'bytes that wait for clients to read them, all connections together',
    beyond: 'a client that has not read everything is not read, and gets nothing more, until it has',
  },
  clientWriteBuffer: {
    part: 'clients',
    bounds: 'bytes that wait for one client to read them',
    beyond: 'the client is not read, and gets nothing more, until it has read all',
  },
  unreadOutputTime: {
    part: 'clients',
    bounds: 'time without a read by a client for which output waits',
    beyond: 'the connection is reset',
    labels: 'reason="unread"',
  },
  discardedBytes: {
    part: 'clients',
    bounds: 'bytes that a client may send after its response, so that the response reaches it',
    beyond: 'the connection is closed',
    labels: DISCARDED,
  },
  discardTime: { part: 'clients', bounds: 'time for the same', beyond: 'the connection is closed', labels: DISCARDED },
  discardIdleTime: { part: 'clients', bounds: 'time between two reads of the same', beyond: 'the connection is closed' },
  halfClosedTunnelTime: {
    part: 'clients',
    bounds: 'time that a switched protocol continues after one side has ended it',
    beyond: 'both connections are closed',
    labels: 'reason="tunnel"',
  },
  stoppedSockets: { part: 'clients', bounds: 'client connections that are not read now', beyond: 'a reset is noticed late' },
  stoppedSocketLooks: {
    part: 'clients',
    bounds: 'of those, how many are looked at in one turn',
    beyond: 'they are looked at in the next turn',
  },
  stoppedSocketWatch: {
    part: 'clients',
    bounds: 'time between two turns',
    beyond: 'a client that is gone is noticed, and its request ended',
  },
  checkedBodyBytes: {
    part: 'clients',
    bounds: 'bytes of a body that are kept for its check',
    set: '`includeRequestBodyInCheck.maxRequestBytes` of the provider',
    beyond: '413, or the check carries the first bytes only (`allowPartialMessage`)',
  },
  lingerTime: {
    part: 'clients',
    bounds: 'time between two looks at a closing connection',
    beyond: 'it is closed when its client has read everything',
  },
  keepAliveProbes: {
    part: 'clients',
    bounds: 'idle time before the kernel probes a peer',
    beyond: 'a peer that is gone is noticed, and the connection closed',
  },
  connectionSweep: {
    part: 'clients',
    bounds: 'time between two comparisons of all deadlines',
    beyond: 'a deadline is noticed up to this much later',
  },
  drainTime: {
    part: 'clients',
    bounds: 'time that open requests have after SIGTERM',
    set: 'flag `--drain-seconds`',
    beyond: 'WebSockets get close 1001, idle connections are closed, the rest is reset',
  },
  drainCloseTime: {
    part: 'clients',
    bounds: 'time that clients have to close their connections at the end of the drain',
    beyond: 'the remaining connections are reset',
  },
  drainPoll: { part: 'clients', bounds: 'time between two looks for open connections while draining', beyond: NOTHING },
  ...CAPTURE_LIMITS_REFERENCE,

  ...HTTP2_REFERENCE,

  upstreamConnections: {
    part: 'application',
    bounds: 'connections to one port of the application',
    beyond: '503 with the details of a connection failure',
  },
  idleUpstreamConnections: {
    part: 'application',
    bounds: 'unused connections that are kept for one port',
    beyond: 'the connection is closed after its response',
  },
  upstreamConnectTime: { part: 'application', bounds: 'time to establish a connection', beyond: '503' },
  firstConnectRetry: {
    part: 'application',
    bounds: 'time until a connection that could not be established is tried again',
    beyond: 'it is tried a second time',
  },
  secondConnectRetry: { part: 'application', bounds: 'time until it is tried for the last time', beyond: '503 if that fails as well' },
  unconnectedOutputBytes: {
    part: 'application',
    bounds: 'bytes of a request that wait until its connection is established',
    beyond: 'the client is not read until then',
  },
  readBufferBytes: {
    part: 'application',
    bounds: 'a read of a socket through which a large body or a TCP connection passes; after four full ones other sockets have their turn',
    beyond: 'the next read takes more',
  },
  readBuffers: {
    part: 'application',
    bounds:
      'read buffers of that size that large bodies pass through without being copied, either way; when more than half are in use, a socket that pauses or has been read empty gives its own back',
    beyond: 'bodies are copied',
  },
  unusedReadBuffers: { part: 'application', bounds: 'such buffers that are kept for the next body', beyond: 'the buffer is freed' },
  upstreamIdleTime: {
    part: 'application',
    bounds: 'time that an unused connection is kept; a second less than `Keep-Alive: timeout` of the application where that is shorter',
    beyond: 'the connection is closed',
  },
  responseHeadBytes: { part: 'application', bounds: 'status line and header fields of a response', beyond: '502' },
  responseHeaders: { part: 'application', bounds: 'header fields of a response', beyond: '502' },

  checkTime: {
    part: 'ext_authz',
    bounds: 'time of one check',
    set: '`timeout` of the provider',
    beyond: 'as an unreachable provider: `statusOnError`, or forwarded with `failOpen`',
  },
  checkConnections: { part: 'ext_authz', bounds: 'connections to one HTTP provider', beyond: 'the check waits, within its deadline' },
  idleCheckConnections: {
    part: 'ext_authz',
    bounds: 'unused connections to one HTTP provider',
    beyond: 'the connection is closed after its response',
  },
  checkIdleTime: { part: 'ext_authz', bounds: 'time that an unused connection is kept', beyond: 'the connection is closed' },
  checkResponseHeadBytes: {
    part: 'ext_authz',
    bounds: "status line and header fields of an HTTP provider's response",
    beyond: 'as an unreachable provider',
    labels: 'reason="ext-authz"',
  },
  checkResponseBodyBytes: { part: 'ext_authz', bounds: 'body of a denial', beyond: 'the denial is sent without it' },
  checkTransports: { part: 'ext_authz', bounds: 'protocols in use', beyond: 'there are two: HTTP and gRPC' },
  checkChannels: { part: 'ext_authz', bounds: 'addresses of gRPC providers with a channel', beyond: 'the channel used first is closed' },
  failingProviders: {
    part: 'ext_authz',
    bounds: 'providers that are known to fail, so that the log has one line for each outage',
    beyond: 'another line for the provider',
  },
  checkLookups: {
    part: 'ext_authz',
    bounds: 'host names that are looked up at a time, each once',
    beyond: 'the oldest lookup is forgotten: another check may look its name up again',
  },

  adminConnections: {
    part: 'admin',
    bounds: 'open connections to the admin port',
    beyond: 'the oldest one that has its response, or has sent no request, is closed; the new one only when all are being answered',
  },
  adminHeadBytes: { part: 'admin', bounds: 'request head on the admin port', beyond: '431, connection closed' },
  adminHeadTime: { part: 'admin', bounds: 'time from the connection to the end of the request head', beyond: 'the connection is closed' },
  adminResponseTime: {
    part: 'admin',
    bounds: 'time that the client has to read its response and close',
    beyond: 'the connection is closed',
  },
  readinessWaits: {
    part: 'admin',
    bounds: 'requests of `/readyz?wait=SECONDS` that wait for a policy',
    beyond: 'the response does not wait',
  },
  readinessWait: {
    part: 'admin',
    bounds: 'time that `/readyz?wait=SECONDS` waits for a policy',
    set: '`wait`, up to this; injection sets it from `timeoutSeconds` of the readiness probe',
    beyond: '503',
  },
  runningProbes: {
    part: 'admin',
    bounds: 'probes of the application that run at the same time',
    set: 'one for each probe that the pod declares',
    beyond: 'the request gets the result of the running probe',
  },
  metricsRenderings: {
    part: 'admin',
    bounds: 'renderings of `/metrics` within `metrics-window`',
    beyond: 'the scrape gets the text of the last one',
  },
  metricsWindow: { part: 'admin', bounds: 'time after which renderings are counted from 0', beyond: NOTHING },
  probeTime: {
    part: 'admin',
    bounds: 'time of one probe of the application',
    set: '`timeoutSeconds` of the probe',
    beyond: 'the probe fails (500)',
  },
  hookTime: {
    part: 'admin',
    bounds: 'time of one HTTP lifecycle hook of the application',
    set: '`terminationGracePeriodSeconds` of the pod, for `preStop`',
    beyond: 'the hook fails: its connection is closed without a response',
  },
  probeResponseBytes: { part: 'admin', bounds: 'bytes of a probe response that are looked at', beyond: 'the probe fails (500)' },

  ...LOG_LIMITS_REFERENCE,

  bundleBytes: {
    part: 'bundles',
    bounds: 'bundle after decompression',
    beyond: 'it is rejected (`SP_BUNDLE_TOO_LARGE`); the last good one stays active',
    labels: 'code="SP_BUNDLE_TOO_LARGE"',
  },
  programValues: {
    part: 'bundles',
    bounds: 'values that the rules for one pod name; path templates count twice, and so does what applies to HTTP and TCP',
    beyond:
      'the bundle is rejected (`SP_BUNDLE_TOO_LARGE`); the last good one stays active. Budgets of policies keep the controller from publishing one',
    labels: 'code="SP_BUNDLE_TOO_LARGE"',
  },
  bundlePoll: {
    part: 'bundles',
    bounds: 'time between two reads of bundle and labels when the file system reports no change',
    beyond: NOTHING,
  },
  bundleTurn: {
    part: 'bundles',
    bounds: 'time in one turn of the event loop for opening a new bundle, rounded up to a whole step',
    beyond: 'the next step waits for the next turn',
  },
  reportedErrors: {
    part: 'bundles',
    bounds: 'messages of which the last error is remembered, so that it is logged once',
    beyond: 'the oldest may be logged again',
  },
  ...TRACE_LIMITS_REFERENCE,
  ...FEED_LIMITS_REFERENCE,

  tokenCacheBytes: {
    part: 'tokens',
    bounds: 'memory of all cached tokens of the process, with everything that is derived from them',
    beyond: 'the cached token that is worth least is dropped, and verified again when it comes back',
  },
  ...EVALUATION_REFERENCE,
  tokensKeptByEviction: {
    part: 'tokens',
    bounds: 'tokens that one eviction looks at and keeps because they were used',
    beyond: 'the next one is evicted although it was used',
  },
  realmPath: { part: 'tokens', bounds: 'characters of the path in the challenge of a 401', beyond: 'it is cut' },
  clockSkew: {
    part: 'tokens',
    bounds: 'difference of clocks at both ends of the lifetime of a token',
    beyond: '401: the token is expired, or not valid yet',
    labels: 'reason="jwt"',
  },
  tokenLength: { part: 'tokens', bounds: 'characters of a token', beyond: '401, as for any other invalid token', labels: 'reason="jwt"' },
  jsonDepth: {
    part: 'tokens',
    bounds: 'nesting of JSON in a token',
    beyond: '401, as for any other invalid token',
    labels: 'reason="jwt"',
  },
};
