/*
 * Which request headers get special treatment on arrival, by name. Envoy holds some headers once ("inline"): a second
 * instance is joined to the first with a comma. The list was measured on Envoy 1.40.0, every name sent twice.
 * Read by `copyHeaders` for each header of each request.
 */

/** Treatment of a header: an index below {@link DROP} is the header's own slot among those that are merged. */
export const DROP = 64;
export const HOST = 65;

/** Slots of the merged headers that later steps ask about; all below 32, so that one number tells which were there. */
export const CONNECTION = 0;
export const UPGRADE = 1;
export const TE = 2;
export const REFERER = 3;
export const FORWARDED_FOR = 4;
export const FORWARDED_PROTO = 5;
export const CLIENT_CERT = 6;
export const CONTENT_TYPE = 7;

const ASKED_ABOUT: readonly string[] = [
  'connection',
  'upgrade',
  'te',
  'referer',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-client-cert',
  'content-type',
  'x-request-id',
];

const MERGED: readonly string[] = [
  'authorization',
  'user-agent',
  'accept',
  'accept-encoding',
  'cache-control',
  'content-encoding',
  'expect',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'origin',
  'pragma',
  'via',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-client-trace-id',
  'grpc-timeout',
  'grpc-accept-encoding',
  'access-control-request-method',
  'access-control-request-headers',
  'access-control-request-private-network',
  'authentication',
  'x-envoy-original-path',
  'x-envoy-original-host',
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-external-address',
  'x-envoy-attempt-count',
  'x-envoy-is-timeout-retry',
];

const DROPPED: readonly string[] = [
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'x-envoy-internal',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-stream-duration-ms',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
];

function buildTreatments(): ReadonlyMap<string, number> {
  const treatments = new Map<string, number>();
  for (const name of [...ASKED_ABOUT, ...MERGED]) treatments.set(name, treatments.size);
  for (const name of DROPPED) treatments.set(name, DROP);
  treatments.set('host', HOST);
  return treatments;
}

/** Treatment by lower-case header name; a name that is not there is forwarded as it is, each instance for itself. */
export const TREATMENT_BY_NAME: ReadonlyMap<string, number> = buildTreatments();
