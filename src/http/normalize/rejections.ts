/*
 * Replies to requests that never reach the policies. In: nothing. Out: one frozen value per fault, with Envoy's status, body
 * and response code details. Used by `prepareRequest` and its parts.
 */

/** A request that never reaches the policies. */
export interface Rejection {
  readonly kind: 'reject';
  readonly status: number;
  readonly body: string;
  /** The connection must be closed after the reply. */
  readonly close: boolean;
  /** Envoy's response code details, e.g. `missing_host_header`. */
  readonly details: string;
  /** The HTTP/1 codec refuses it, which does not look at content-type: the reply is plain even to gRPC. */
  readonly plain: boolean;
}

function reject(status: number, body: string, close: boolean, details: string): Rejection {
  return Object.freeze({ kind: 'reject', status, body, close, details, plain: false });
}

function plainReject(status: number, body: string, details: string): Rejection {
  return Object.freeze({ kind: 'reject', status, body, close: true, details, plain: true });
}

function badRequest(details: string): Rejection {
  return plainReject(400, 'Bad Request', details);
}

/** Method or target that the HTTP/1 codec refuses. */
export const CODEC_ERROR: Rejection = badRequest('http1.codec_error');
/** Absolute target, or CONNECT's authority, that is none. */
export const INVALID_URL: Rejection = badRequest('http1.invalid_url');
/** Absolute target with a scheme other than http and https. */
export const INVALID_SCHEME: Rejection = badRequest('http1.invalid_scheme');
/** Connection names too many headers, or one that must not be lost. */
export const CONNECTION_REFUSED: Rejection = badRequest('http1.connection_header_rejected');
/** Host with bytes that no authority has. */
export const INVALID_AUTHORITY: Rejection = badRequest('http.invalid_authority');
/** HTTP/1.0 and older. */
export const LOW_VERSION: Rejection = plainReject(426, 'Upgrade Required', 'low_version');
/** No Host at all; an empty one is accepted. */
export const MISSING_HOST: Rejection = reject(400, '', true, 'missing_host_header');
/** QUERY without content-type. */
export const QUERY_WITHOUT_TYPE: Rejection = reject(400, '', true, 'query_missing_content_type');
/** Empty `:path`. */
export const MISSING_PATH: Rejection = reject(404, '', false, 'missing_path_rejected');
/** Path without a leading slash, `OPTIONS *` among them. */
export const ABSOLUTE_PATH: Rejection = reject(404, '', false, 'absolute_path_rejected');
/** X-Forwarded-Client-Cert of a trusted proxy that cannot be read. */
export const CLIENT_CERT_INVALID: Rejection = reject(400, '', true, 'forwarded_client_cert_invalid');
/** A NUL in the path. */
export const BAD_PATH: Rejection = reject(400, '', true, 'path_normalization_failed');
/** An upgrade to anything but websocket. */
export const UPGRADE_FAILED: Rejection = reject(403, '', true, 'upgrade_failed');
