/*
 * The two kinds of cases, and builders for the bytes of messages. Bytes are strings with one character per byte (latin1).
 */

/** Bytes that a client sends on a new connection. */
export interface RequestCase {
  /** Unique; begins with its topic and a colon. */
  readonly name: string;
  /** Written one after another, each as soon as the proxy has read the one before it. */
  readonly parts: readonly string[];
  /** False: nothing is sent behind the parts. Otherwise a valid request follows, which reveals where the proxy takes the end to be. */
  readonly sentinel: boolean;
}

/** A step of the application that answers the first request of a case: bytes to send, or `FIN` or `RST` to end the connection. */
export type Step = string;

/** What the application sends in response to one request, and which request that is. */
export interface AnswerCase {
  /** Unique; begins with its topic and a colon. */
  readonly name: string;
  /** Bytes to send, each as soon as the proxy has read the ones before; or how to end the connection. */
  readonly steps: readonly Step[];
  readonly request: string;
}

/** The bytes of a message, each as a part. */
export const bytesOf = (text: string): readonly string[] => text.split('');
/** `\r\n`. */
export const CRLF = '\r\n';
/** The field of a chunked body. */
export const CHUNKED = 'Transfer-Encoding: chunked';
/** A complete chunked body: `hello`. */
export const HELLO_CHUNKS = '5\r\nhello\r\n0\r\n\r\n';
/** A request that the policies deny, as the hidden part of a smuggling attempt. */
export const HIDDEN = 'GET /admin HTTP/1.1\r\nHost: h\r\nX-Hidden: 1\r\n\r\n';

const lines = (fields: readonly string[]): string => fields.map((field) => field + CRLF).join('');

/** A request with this request line and exactly these fields. */
export const message = (line: string, fields: readonly string[], body = ''): string => `${line}${CRLF}${lines(fields)}${CRLF}${body}`;
/** GET with Host and these fields. */
export const get = (target: string, ...fields: readonly string[]): string => message(`GET ${target} HTTP/1.1`, ['Host: h', ...fields]);
/** POST with Host, these fields, and whatever follows the head. */
export const post = (body: string, ...fields: readonly string[]): string => message('POST /p HTTP/1.1', ['Host: h', ...fields], body);
/** A response with these fields, and whatever follows the head. */
export const ok = (fields: readonly string[], body = ''): string => message('HTTP/1.1 200 OK', fields, body);

/** Name of the case, and its bytes or parts. */
export type Row = readonly [name: string, bytes: string | readonly string[]];

/** Cases of one topic. */
export function requests(topic: string, rows: readonly Row[], options: { readonly sentinel?: boolean } = {}): readonly RequestCase[] {
  return rows.map(([name, bytes]) => ({
    name: `${topic}: ${name}`,
    parts: typeof bytes === 'string' ? [bytes] : bytes,
    sentinel: options.sentinel ?? true,
  }));
}

/** Name of the case, and what the application does. */
export type AnswerRow = readonly [name: string, steps: Step | readonly Step[]];

/** Cases of one topic, in response to `request`. */
export function answers(topic: string, rows: readonly AnswerRow[], request: string = get('/r')): readonly AnswerCase[] {
  return rows.map(([name, steps]) => ({ name: `${topic}: ${name}`, steps: typeof steps === 'string' ? [steps] : steps, request }));
}

/** A value in a name: control characters and bytes beyond ASCII escaped, long ones cut. */
export function shown(value: string): string {
  const text = JSON.stringify(value)
    .slice(1, -1)
    .replace(/[^ -~]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
  return text.length > 60 ? `${text.slice(0, 50)}… (${value.length} bytes)` : text;
}
