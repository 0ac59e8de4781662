/*
 * Replies of the HTTP/1.1 codec to requests that it cannot read, with Envoy's statuses, bodies and response code details.
 * The connection closes after each of them.
 */
import { codecReply, type LocalReply } from '../../http/local-reply.ts';

/** Not HTTP/1.1: syntax, bare CR or LF, folded lines, unknown method. */
export { CODEC_ERROR } from '../../http/normalize/rejections.ts';

/** Control characters anywhere in the head; takes precedence over every other fault of its syntax. */
export const INVALID_CHARACTERS: LocalReply = codecReply(400, 'Bad Request', 'http1.invalid_characters');
/** The head is too long. */
export const HEAD_TOO_LARGE: LocalReply = codecReply(431, 'Request Header Fields Too Large', 'http1.headers_too_large');
/** The head has too many fields. */
export const TOO_MANY_HEADERS: LocalReply = codecReply(431, 'Request Header Fields Too Large', 'http1.too_many_headers');
/** Content-Length together with Transfer-Encoding. */
export const LENGTH_AND_CHUNKED: LocalReply = codecReply(400, 'Bad Request', 'http1.content_length_and_chunked_not_allowed');
/** CONNECT with a Content-Length other than 0. */
export const CONNECT_WITH_LENGTH: LocalReply = codecReply(400, 'Bad Request', 'http1.body_disallowed');
/** A transfer coding other than chunked. */
export const UNKNOWN_ENCODING: LocalReply = codecReply(501, 'Not Implemented', 'http1.invalid_transfer_encoding');
/** The rest of a head or body did not arrive in time. */
export const REQUEST_TIMEOUT: LocalReply = codecReply(408, 'Request Timeout', 'request_header_timeout');
/** Too many bytes of clients wait in memory; Envoy's reply when it is overloaded. */
export const OVERLOADED: LocalReply = codecReply(503, 'envoy overloaded', 'overload');
