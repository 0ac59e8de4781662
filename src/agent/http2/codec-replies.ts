/*
 * What the codec itself says about requests, with Envoy's response code details. A status that is not sent is that of the same fault over
 * HTTP/1.1, for access log and metrics.
 */
import { codecReply, type LocalReply, textReply } from '../../http/local-reply.ts';

/** A malformed request: nothing is sent, and the connection ends. */
export const MALFORMED: LocalReply = codecReply(400, '', 'http2.invalid.header.field');
/** The header list is too long: the stream is reset. */
export const HEADERS_TOO_LARGE: LocalReply = codecReply(431, '', 'http2.header_list_size_too_large');
/** The header list has too many fields: the stream is reset. */
export const TOO_MANY_HEADERS: LocalReply = codecReply(431, '', 'http2.too_many_headers');
/** The body does not have the length that was announced: the stream is reset. */
export const LENGTH_MISMATCH: LocalReply = codecReply(400, '', 'http2.violation.of.messaging.rule');
/** The body that an ext_authz server is to see did not arrive in time. */
export const REQUEST_TIMEOUT: LocalReply = textReply(408, 'Request Timeout', 'request_header_timeout');
/** Too many bytes of clients wait in memory; Envoy's reply when it is overloaded. */
export const OVERLOADED: LocalReply = textReply(503, 'envoy overloaded', 'overload');
