/*
 * Byte sequences that HTTP parsers read as different requests, for tests of the proxy against node:http and Envoy. Not a test
 * itself.
 */

/** The field of a chunked body. */
export const CHUNKED = 'Transfer-Encoding: chunked';
/** A POST with these fields, then a body. */
export const post = (fields: string, body: string, line = 'POST / HTTP/1.1'): string => `${line}\r\nHost: h\r\n${fields}\r\n\r\n${body}`;
/** The request that an attacker tries to smuggle. */
export const HIDDEN = 'GET /no/hidden HTTP/1.1\r\nHost: h\r\n\r\n';

/** Bytes that some parsers read differently, each followed by a hidden request. The proxy closes the connection for all of them. */
export const AMBIGUOUS: Readonly<Record<string, string>> = {
  'CL.TE': post(`Content-Length: ${HIDDEN.length + 5}\r\n${CHUNKED}`, `0\r\n\r\n${HIDDEN}`),
  'TE.CL': post(`${CHUNKED}\r\nContent-Length: 4`, `5c\r\n${HIDDEN}\r\n0\r\n\r\n`),
  'CL.CL': post(`Content-Length: 0\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'CL.CL, equal': post('Content-Length: 3\r\nContent-Length: 3', `abc${HIDDEN}`),
  'CL as a list': post(`Content-Length: 0, ${HIDDEN.length}`, HIDDEN),
  'CL with a sign': post('Content-Length: +0', HIDDEN),
  'CL with a minus': post('Content-Length: -0', HIDDEN),
  'CL in hex': post('Content-Length: 0x5', HIDDEN),
  'CL with a space inside': post('Content-Length: 1 0', HIDDEN),
  'CL, empty': post('Content-Length:', HIDDEN),
  'CL beyond 64 bits': post('Content-Length: 18446744073709551616', HIDDEN),
  'CL with an underscore': post('Content_Length: 0\r\nContent-Length: x', HIDDEN),
  'TE.TE, the second one hidden': post(`${CHUNKED}\r\nTransfer-Encoding: x`, `0\r\n\r\n${HIDDEN}`),
  'TE.TE, equal': post(`${CHUNKED}\r\n${CHUNKED}`, `0\r\n\r\n${HIDDEN}`),
  'CVE-2022-32213: TE of another spelling': post('Transfer-Encoding: chunkedchunked', `0\r\n\r\n${HIDDEN}`),
  'CVE-2022-32215: TE over several lines': post('Transfer-Encoding: chunked,\r\n identity', `0\r\n\r\n${HIDDEN}`),
  'TE: identity': post(`Transfer-Encoding: identity\r\nContent-Length: ${HIDDEN.length}`, HIDDEN),
  'TE: chunked, identity': post('Transfer-Encoding: chunked, identity', `0\r\n\r\n${HIDDEN}`),
  'TE: gzip, chunked': post('Transfer-Encoding: gzip, chunked', `0\r\n\r\n${HIDDEN}`),
  'TE in quotes': post('Transfer-Encoding: "chunked"', `0\r\n\r\n${HIDDEN}`),
  'TE with a vertical tab': post('Transfer-Encoding: \x0bchunked', `0\r\n\r\n${HIDDEN}`),
  'TE with a letter that folds to k': post('Transfer-Encoding: chun\u00e2\u0084\u00aaed', `0\r\n\r\n${HIDDEN}`),
  'CVE-2024-27982: a space before the first field': post(' Content-Length: 5', HIDDEN, 'POST / HTTP/1.1'),
  'a space before the colon': post('Content-Length : 5', HIDDEN),
  'a tab before the colon': post('Transfer-Encoding\t: chunked', `0\r\n\r\n${HIDDEN}`),
  'obs-fold': post('X: y\r\n Content-Length: 5', HIDDEN),
  'obs-fold with a tab': post(`X: y\r\n\t${CHUNKED}`, `0\r\n\r\n${HIDDEN}`),
  'CVE-2022-32214: bare LF between fields': post('X: y\nContent-Length: 5', HIDDEN),
  'CVE-2023-30589: bare CR between fields': post(`X: y\r${CHUNKED}`, `0\r\n\r\n${HIDDEN}`),
  'bare LF all over': 'POST / HTTP/1.1\nHost: h\nContent-Length: 0\n\nGET /no/hidden HTTP/1.1\n\n',
  'NUL in a value': post('X: y\0\r\nContent-Length: 5', HIDDEN),
  'NUL in a name': post('Content-Length\0: 5', HIDDEN),
  'a line without colon': post('Content-Length 5', HIDDEN),
  'an empty name': post(': x\r\nContent-Length: 5', HIDDEN),
  'a line break in the target': `GET /a\r\nContent-Length:${HIDDEN.length} HTTP/1.1\r\nHost: h\r\n\r\n${HIDDEN}`,
  'a space in the target': `GET /a HTTP/1.1\r\nX: y HTTP/1.1\r\nHost : h\r\n\r\n${HIDDEN}`,
  'HTTP/0.9': `GET /a\r\n\r\n${HIDDEN}`,
  'HTTP/1.0 with a body in chunks': post(CHUNKED, `0\r\n\r\n${HIDDEN}`, 'POST / HTTP/1.0'),
  'chunk size with a sign': post(CHUNKED, `+0\r\n\r\n${HIDDEN}`),
  'chunk size in C': post(CHUNKED, `0x0\r\n\r\n${HIDDEN}`),
  'chunk size with a space': post(CHUNKED, `0 \r\n\r\n${HIDDEN}`),
  'chunk size beyond 32 bits': post(CHUNKED, `100000000000000000\r\n\r\n${HIDDEN}`),
  'chunk size ended by LF': post(CHUNKED, `0\n\r\n${HIDDEN}`),
  'chunk extension with a bare LF': post(CHUNKED, `0;a\nb\r\n\r\n${HIDDEN}`),
  'chunk data ended by LF': post(CHUNKED, `1\r\nx\n0\r\n\r\n${HIDDEN}`),
  'chunk longer than it says': post(CHUNKED, `1\r\nxx\r\n0\r\n\r\n${HIDDEN}`),
  'trailer ended by bare CR': post(CHUNKED, `0\r\nX: y\r\r\n\r\n${HIDDEN}`),
  'CVE-2025-64763: CONNECT with early data': `CONNECT h:80 HTTP/1.1\r\nHost: h\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  'an unknown method': `SMUG / HTTP/1.1\r\nHost: h\r\n\r\n${HIDDEN}`,
};
