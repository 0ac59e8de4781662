/*
 * Every limit, deadline and period of the agent. `agent-limits-reference.ts` describes each, and docs/reference/limits.md is made
 * from both. A number that bounds something in `src/agent` stands nowhere else; `npm run check` refuses it there.
 */
import { bytes, count, deadline, interval, type Limit } from './limit.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Counted as a request that the codec refused (`reason="codec"`). */
const REFUSED_REQUEST = 'sallyport_agent_decisions_total';
const CLOSED = 'sallyport_agent_connections_closed_total';
const UPSTREAM_FAILURE = 'sallyport_agent_upstream_failures_total';
const SPANS = 'sallyport_agent_spans_total';
const REFUSED_BUNDLE = 'sallyport_agent_bundle_refused_total';
const FAILED_HANDSHAKE = 'sallyport_agent_tls_handshakes_total';
const REFUSED_CERTIFICATE = 'sallyport_agent_tls_certificate_refused_total';

/** Name of a limit in code. */
export type LimitName =
  | 'clientConnections'
  | 'openFiles'
  | 'reservedDescriptors'
  | 'acceptBacklog'
  | 'requestHeadBytes'
  | 'requestHeaders'
  | 'requestHeadTime'
  | 'requestBodyIdleTime'
  | 'clientIdleTime'
  | 'requestDeadline'
  | 'chunkNoiseBytes'
  | 'pausedInputBytes'
  | 'searchedInputBytes'
  | 'clientInputBudget'
  | 'clientOutputBudget'
  | 'clientWriteBuffer'
  | 'unreadOutputTime'
  | 'discardedBytes'
  | 'discardTime'
  | 'discardIdleTime'
  | 'halfClosedTunnelTime'
  | 'stoppedSockets'
  | 'stoppedSocketLooks'
  | 'stoppedSocketWatch'
  | 'checkedBodyBytes'
  | 'lingerTime'
  | 'keepAliveProbes'
  | 'connectionSweep'
  | 'drainTime'
  | 'drainPoll'
  | 'drainCloseTime'
  | 'blockedPortLog'
  | 'refusedConnectionLog'
  | 'destinations'
  | 'ownAddresses'
  | 'detectedBytes'
  | 'firstByteTime'
  | 'deniedSilence'
  | 'undecidedSilence'
  | 'clientHelloBytes'
  | 'handshakes'
  | 'handshakeTime'
  | 'handshakeBytes'
  | 'tlsFileBytes'
  | 'tlsFilePoll'
  | 'tlsFileRetry'
  | 'ownAddressLookup'
  | 'connectionStreams'
  | 'streams'
  | 'fewStreams'
  | 'someStreams'
  | 'upstreamStreams'
  | 'unknownUpstreamStreams'
  | 'rememberedStreams'
  | 'requestsPerTurn'
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
  | 'upstreamStreamWindow'
  | 'upstreamConnectionWindow'
  | 'connectionHeldBytes'
  | 'streamOutputBudget'
  | 'largestStreamWindow'
  | 'streamWindowGrowth'
  | 'upstreamConnections'
  | 'idleUpstreamConnections'
  | 'upstreamConnectTime'
  | 'upstreamIdleTime'
  | 'firstConnectRetry'
  | 'secondConnectRetry'
  | 'unconnectedOutputBytes'
  | 'readBufferBytes'
  | 'readBuffers'
  | 'unusedReadBuffers'
  | 'responseHeadBytes'
  | 'responseHeaders'
  | 'checkTime'
  | 'checkConnections'
  | 'idleCheckConnections'
  | 'checkIdleTime'
  | 'checkResponseHeadBytes'
  | 'checkResponseBodyBytes'
  | 'checkTransports'
  | 'checkChannels'
  | 'failingProviders'
  | 'checkLookups'
  | 'adminConnections'
  | 'adminHeadBytes'
  | 'adminHeadTime'
  | 'adminResponseTime'
  | 'readinessWaits'
  | 'readinessWait'
  | 'runningProbes'
  | 'metricsRenderings'
  | 'metricsWindow'
  | 'probeTime'
  | 'hookTime'
  | 'probeResponseBytes'
  | 'accessLogBuffers'
  | 'accessLogAllowBuffers'
  | 'accessLogField'
  | 'accessLogFlush'
  | 'nearMissTime'
  | 'firstNearMissTime'
  | 'namedPolicies'
  | 'policySeries'
  | 'dryRunSeries'
  | 'limitLog'
  | 'logBuffers'
  | 'logBytes'
  | 'spareLogBuffers'
  | 'logLineBytes'
  | 'logFlushTime'
  | 'logRetry'
  | 'queuedSpans'
  | 'queuedSpanBytes'
  | 'spanBatch'
  | 'spanDelay'
  | 'spanField'
  | 'spanExportTime'
  | 'spanExportAttempts'
  | 'spanExportRetry'
  | 'spanExportLongestRetry'
  | 'spanResponseBytes'
  | 'spanFlushTime'
  | 'bundleBytes'
  | 'programValues'
  | 'bundlePoll'
  | 'bundleTurn'
  | 'reportedErrors'
  | 'feedConnectTime'
  | 'feedSilence'
  | 'feedRetry'
  | 'feedLongestRetry'
  | 'feedReport'
  | 'feedAuthoritiesBytes'
  | 'unknownKeyBytes'
  | 'unknownKeyPause'
  | 'identityQuestion'
  | 'identityQuestions'
  | 'identityWait'
  | 'podIdentities'
  | 'podAccounts'
  | 'tokenCacheBytes'
  | 'tokensKeptByEviction'
  | 'realmPath'
  | 'clockSkew'
  | 'waitingEvaluations'
  | 'evaluationWait'
  | 'evaluationTurn'
  | 'lightEvaluations'
  | 'requestsPerRead'
  | 'liveStreams'
  | 'liveStreamBytes'
  | 'tokenLength'
  | 'jsonDepth';

/** The limits by the name that code uses. */
export const LIMITS: Readonly<Record<LimitName, Limit>> = {
  clientConnections: count('client-connections', 10_000, 'sallyport_agent_connections_refused_total'),
  openFiles: count('open-files', 0),
  reservedDescriptors: count('reserved-descriptors', 64, ''),
  acceptBacklog: count('accept-backlog', 4096, ''),
  requestHeadBytes: bytes('request-head-bytes', 60 * KIB, REFUSED_REQUEST),
  requestHeaders: count('request-headers', 100, REFUSED_REQUEST),
  requestHeadTime: deadline('request-head-time', 30_000, REFUSED_REQUEST),
  requestBodyIdleTime: deadline('request-body-idle-time', 300_000, REFUSED_REQUEST),
  clientIdleTime: deadline('client-idle-time', 3_600_000, CLOSED),
  requestDeadline: deadline('request-deadline', 24 * 24 * 3_600_000),
  chunkNoiseBytes: bytes('chunk-noise-bytes', 60 * KIB, REFUSED_REQUEST),
  pausedInputBytes: bytes('paused-input-bytes', 16 * KIB, ''),
  searchedInputBytes: bytes('searched-input-bytes', 128 * KIB, ''),
  clientInputBudget: bytes('client-input-bytes', 32 * MIB),
  clientOutputBudget: bytes('client-output-bytes', 8 * MIB),
  clientWriteBuffer: bytes('client-write-buffer', 16 * KIB, ''),
  unreadOutputTime: deadline('unread-output-time', 300_000, CLOSED),
  discardedBytes: bytes('discarded-bytes', 32 * MIB, CLOSED),
  discardTime: deadline('discard-time', 30_000, CLOSED),
  discardIdleTime: deadline('discard-idle-time', 5000, ''),
  halfClosedTunnelTime: deadline('half-closed-tunnel-time', 1000, CLOSED),
  stoppedSockets: count('stopped-sockets', 10_000),
  stoppedSocketLooks: count('stopped-socket-looks', 500, ''),
  stoppedSocketWatch: interval('stopped-socket-watch', 50),
  checkedBodyBytes: bytes('checked-body-bytes', 0, ''),
  lingerTime: interval('linger-time', 1000),
  keepAliveProbes: interval('keep-alive-probes', 60_000),
  connectionSweep: interval('connection-sweep', 500),
  drainTime: deadline('drain-time', 10_000, ''),
  drainPoll: interval('drain-poll', 20),
  drainCloseTime: deadline('drain-close-time', 500, ''),
  blockedPortLog: interval('blocked-port-log', 10_000),
  refusedConnectionLog: interval('refused-connection-log', 10_000),
  destinations: count('destinations', 256),
  detectedBytes: bytes('detected-bytes', 8 * KIB, ''),
  firstByteTime: interval('first-byte-time', 100),
  deniedSilence: deadline('denied-silence', 1000, CLOSED),
  undecidedSilence: deadline('undecided-silence', 10_000, CLOSED),
  clientHelloBytes: bytes('client-hello-bytes', 16 * KIB, CLOSED),
  handshakes: count('tls-handshakes', 256, FAILED_HANDSHAKE),
  handshakeTime: deadline('tls-handshake-time', 15_000, FAILED_HANDSHAKE),
  handshakeBytes: bytes('tls-handshake-bytes', 128 * KIB, FAILED_HANDSHAKE),
  tlsFileBytes: bytes('tls-file-bytes', MIB, REFUSED_CERTIFICATE),
  tlsFilePoll: interval('tls-file-poll', 15_000),
  tlsFileRetry: interval('tls-file-retry', 1000),
  ownAddresses: count('own-addresses', 1024),
  ownAddressLookup: interval('own-address-lookup', 1000),

  connectionStreams: count('connection-streams', 1024),
  streams: count('streams', 8192),
  fewStreams: count('few-streams', 8, ''),
  someStreams: count('some-streams', 100, ''),
  upstreamStreams: count('upstream-streams', 1024, ''),
  unknownUpstreamStreams: count('unknown-upstream-streams', 100, ''),
  rememberedStreams: count('remembered-streams', 128, ''),
  requestsPerTurn: count('requests-per-turn', 32, ''),
  frameBytes: bytes('frame-bytes', 16 * KIB, CLOSED),
  batchBytes: bytes('batch-bytes', 64 * KIB, ''),
  batchBuffers: count('batch-buffers', 8, ''),
  headerBlockBytes: bytes('header-block-bytes', 128 * KIB, CLOSED),
  headerTableBytes: bytes('header-table-bytes', 4 * KIB, CLOSED),
  cachedLiterals: count('cached-literals', 512, ''),
  cachedLiteralBytes: bytes('cached-literal-bytes', 2 * KIB, ''),
  controlFrames: count('control-frames', 2000),
  emptyFrames: count('empty-frames', 1),
  earlyResets: count('early-resets', 500),
  clientStreamWindow: bytes('client-stream-window', 256 * KIB, ''),
  clientConnectionWindow: bytes('client-connection-window', MIB, ''),
  upstreamStreamWindow: bytes('upstream-stream-window', 64 * KIB, ''),
  upstreamConnectionWindow: bytes('upstream-connection-window', 16 * MIB, ''),
  connectionHeldBytes: bytes('connection-held-bytes', MIB, ''),
  streamOutputBudget: bytes('stream-output-bytes', 8 * MIB),
  largestStreamWindow: bytes('largest-stream-window', 512 * KIB, ''),
  streamWindowGrowth: bytes('stream-window-growth', 4 * MIB, ''),

  upstreamConnections: count('upstream-connections', 10_256),
  idleUpstreamConnections: count('idle-upstream-connections', 256, ''),
  upstreamConnectTime: deadline('upstream-connect-time', 10_000, UPSTREAM_FAILURE),
  firstConnectRetry: interval('first-connect-retry', 25),
  secondConnectRetry: interval('second-connect-retry', 50),
  unconnectedOutputBytes: bytes('unconnected-output-bytes', 64 * KIB, ''),
  readBufferBytes: bytes('read-buffer-bytes', 256 * KIB, ''),
  readBuffers: count('read-buffers', 16, ''),
  unusedReadBuffers: count('unused-read-buffers', 4, ''),
  upstreamIdleTime: deadline('upstream-idle-time', 60_000, ''),
  responseHeadBytes: bytes('response-head-bytes', 256 * KIB, UPSTREAM_FAILURE),
  responseHeaders: count('response-headers', 1000, UPSTREAM_FAILURE),

  checkTime: deadline('ext-authz-check-time', 600_000),
  checkConnections: count('ext-authz-connections', 1024, ''),
  idleCheckConnections: count('ext-authz-idle-connections', 64, ''),
  checkIdleTime: deadline('ext-authz-idle-time', 60_000, ''),
  checkResponseHeadBytes: bytes('ext-authz-response-head-bytes', 64 * KIB, REFUSED_REQUEST),
  checkResponseBodyBytes: bytes('ext-authz-response-body-bytes', MIB),
  checkTransports: count('ext-authz-transports', 2),
  checkChannels: count('ext-authz-grpc-channels', 64),
  failingProviders: count('ext-authz-failing-providers', 256),
  checkLookups: count('ext-authz-lookups', 64),

  adminConnections: count('admin-connections', 1024),
  adminHeadBytes: bytes('admin-head-bytes', 16 * KIB),
  adminHeadTime: deadline('admin-head-time', 5_000),
  adminResponseTime: deadline('admin-response-time', 5_000),
  readinessWaits: count('readiness-waits', 16),
  readinessWait: deadline('readiness-wait', 10_000, ''),
  runningProbes: count('running-app-probes', 0, ''),
  metricsRenderings: count('metrics-renderings', 20),
  metricsWindow: interval('metrics-window', 1000),
  probeTime: deadline('app-probe-time', 1000),
  hookTime: deadline('app-hook-time', 3_600_000),
  probeResponseBytes: bytes('app-probe-response-bytes', 4 * KIB),

  accessLogBuffers: count('access-log-buffers', 24, 'sallyport_agent_access_log_dropped_total'),
  accessLogAllowBuffers: count('access-log-allow-buffers', 4, 'sallyport_agent_access_log_dropped_total'),
  accessLogField: count('access-log-field', 2048, ''),
  accessLogFlush: interval('access-log-flush', 100),
  nearMissTime: interval('near-miss-time', 2),
  firstNearMissTime: interval('first-near-miss-time', 10),
  namedPolicies: count('named-policies', 1000, ''),
  policySeries: count('policy-series', 200),
  dryRunSeries: count('dry-run-series', 200),
  limitLog: interval('limit-log', 10_000),
  logBuffers: count('log-buffers', 32, 'sallyport_agent_log_dropped_total'),
  logBytes: bytes('log-bytes', 4 * MIB, 'sallyport_agent_log_dropped_total'),
  spareLogBuffers: count('spare-log-buffers', 4, ''),
  logLineBytes: bytes('log-line-bytes', MIB, 'sallyport_agent_log_dropped_total'),
  logFlushTime: deadline('log-flush-time', 500),
  logRetry: interval('log-retry', 10),

  queuedSpans: count('queued-spans', 2048, SPANS),
  queuedSpanBytes: bytes('queued-span-bytes', 2 * MIB, SPANS),
  spanBatch: count('span-batch', 512, ''),
  spanDelay: interval('span-delay', 5000),
  spanField: count('span-field', 1024, ''),
  spanExportTime: deadline('span-export-time', 10_000),
  spanExportAttempts: count('span-export-attempts', 5, SPANS),
  spanExportRetry: interval('span-export-retry', 1000),
  spanExportLongestRetry: interval('span-export-longest-retry', 30_000),
  spanResponseBytes: bytes('span-response-bytes', 4 * KIB, ''),
  spanFlushTime: deadline('span-flush-time', 1000, SPANS),

  bundleBytes: bytes('bundle-bytes', 16 * MIB, REFUSED_BUNDLE),
  programValues: count('program-values', 400_000, REFUSED_BUNDLE),
  bundlePoll: interval('bundle-poll', 5000),
  bundleTurn: interval('bundle-turn', 1),
  reportedErrors: count('reported-errors', 64),
  feedConnectTime: deadline('feed-connect-time', 10_000),
  feedSilence: deadline('feed-silence', 50_000),
  feedRetry: interval('feed-retry', 2000),
  feedLongestRetry: interval('feed-longest-retry', 60_000),
  feedReport: interval('feed-report', 15_000),
  feedAuthoritiesBytes: bytes('feed-authorities-bytes', 16 * KIB, ''),
  unknownKeyBytes: bytes('unknown-key-bytes', KIB),
  unknownKeyPause: interval('unknown-key-pause', 1000),
  identityQuestion: interval('identity-question', 5_000),
  identityQuestions: count('identity-questions', 8, ''),
  identityWait: deadline('identity-wait', 15_000),
  podIdentities: count('pod-identities', 65_536),
  podAccounts: count('pod-accounts', 65_536),

  tokenCacheBytes: bytes('token-cache-bytes', 24 * MIB, 'sallyport_agent_token_cache_evictions_total'),
  tokensKeptByEviction: count('tokens-kept-by-eviction', 256, ''),
  realmPath: count('realm-path', 256, ''),
  clockSkew: deadline('clock-skew', 60_000, REFUSED_REQUEST),
  waitingEvaluations: count('waiting-evaluations', 10_000),
  evaluationWait: deadline('evaluation-wait', 5000),
  evaluationTurn: interval('evaluation-turn', 0.1),
  lightEvaluations: interval('light-evaluations', 2),
  requestsPerRead: count('requests-per-read', 8, ''),
  liveStreams: count('live-streams', 20_000),
  liveStreamBytes: bytes('live-stream-bytes', 16 * MIB),
  tokenLength: count('token-length', 60 * KIB, REFUSED_REQUEST),
  jsonDepth: count('json-depth', 100, REFUSED_REQUEST),
};
