/*
 * Why a response of the application is refused. The values stand in response code details behind `protocol_error|`; those that begin
 * with `http1.` are Envoy's.
 */

/** Reasons to refuse a response. */
export const RESPONSE_FAULT = {
  notHttp: 'response_is_not_http',
  statusLine: 'response_status_line',
  field: 'response_header_line',
  controlCharacter: 'http1.invalid_characters',
  headTooLarge: 'http1.headers_too_large',
  tooManyHeaders: 'http1.too_many_headers',
  headCut: 'response_head_cut_off',
  contentLength: 'response_content_length',
  transferEncoding: 'http1.invalid_transfer_encoding',
  lengthAndChunked: 'http1.content_length_and_chunked_not_allowed',
  lengthNotAllowed: 'http1.content_length_not_allowed',
  codingNotAllowed: 'http1.transfer_encoding_not_allowed',
  unaskedUpgrade: 'response_upgrade_not_requested',
  webSocketAccept: 'response_websocket_accept',
  chunks: 'response_chunked_body',
} as const;

/** One of {@link RESPONSE_FAULT}. */
export type ResponseFault = (typeof RESPONSE_FAULT)[keyof typeof RESPONSE_FAULT];
