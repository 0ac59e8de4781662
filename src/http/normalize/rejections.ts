/*
 * Replies to requests that never reach the policies: one constant for each fault, with Envoy's status, body and response code
 * details.
 */

import { codecReply, type LocalReply, textReply } from '../local-reply.ts';

/** Method or target that the HTTP/1 codec refuses. */
export const CODEC_ERROR: LocalReply = codecReply(400, 'Bad Request', 'http1.codec_error');
/** Invalid absolute target, or invalid authority of CONNECT. */
export const INVALID_URL: LocalReply = codecReply(400, 'Bad Request', 'http1.invalid_url');
/** Absolute target with a scheme other than http and https. */
export const INVALID_SCHEME: LocalReply = codecReply(400, 'Bad Request', 'http1.invalid_scheme');
/** Connection names too many headers, or one that must not be removed. */
export const CONNECTION_REFUSED: LocalReply = codecReply(400, 'Bad Request', 'http1.connection_header_rejected');
/** Host with bytes that are not allowed in an authority. */
export const INVALID_AUTHORITY: LocalReply = codecReply(400, 'Bad Request', 'http.invalid_authority');
/** HTTP/1.0 and older. */
export const LOW_VERSION: LocalReply = codecReply(426, 'Upgrade Required', 'low_version');
/** No Host at all; an empty one is accepted. */
export const MISSING_HOST: LocalReply = textReply(400, '', 'missing_host_header', true);
/** QUERY without content-type. */
export const QUERY_WITHOUT_TYPE: LocalReply = textReply(400, '', 'query_missing_content_type', true);
/** Empty `:path`. */
export const MISSING_PATH: LocalReply = textReply(404, '', 'missing_path_rejected');
/** Path without a leading slash, `OPTIONS *` among them. */
export const ABSOLUTE_PATH: LocalReply = textReply(404, '', 'absolute_path_rejected');
/** Malformed X-Forwarded-Client-Cert of a trusted proxy. */
export const CLIENT_CERT_INVALID: LocalReply = textReply(400, '', 'forwarded_client_cert_invalid', true);
/** A NUL in the path. */
export const BAD_PATH: LocalReply = textReply(400, '', 'path_normalization_failed', true);
/** An upgrade to anything but websocket. */
export const UPGRADE_FAILED: LocalReply = textReply(403, '', 'upgrade_failed', true);
