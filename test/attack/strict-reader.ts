/*
 * A strict reader of HTTP/1.1 requests, for what the application received: it accepts exactly the grammar of RFC 9112, so that every
 * byte that a proxy sends has one meaning. Shares no code with the agent.
 */

/** One request as the application received it. */
export interface Received {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, in the order of the message. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** `none`, `length` or `chunked`; `tunnel`: every byte behind the head belongs to another protocol. */
  readonly framing: 'none' | 'length' | 'chunked' | 'tunnel';
  readonly complete: boolean;
  /** The first violation of the grammar; undefined: none so far. */
  readonly fault: string | undefined;
  /** Index behind its last byte. */
  readonly end: number;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/;

/** Reads one request from `text[start, …)`. Undefined: its head is not complete. */
export function readRequest(text: string, start: number): Received | undefined {
  const headEnd = text.indexOf('\r\n\r\n', start);
  if (headEnd === -1) return undefined;
  const [line = '', ...rows] = text.slice(start, headEnd).split('\r\n');
  const [, method = '', target = ''] = REQUEST_LINE.exec(line) ?? [];
  let fault = method === '' ? `request line ${JSON.stringify(line)}` : undefined;
  const fields = rows.map((row): readonly [string, string] => {
    const colon = row.indexOf(':');
    const [name, value] = [row.slice(0, Math.max(colon, 0)), row.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, '')];
    if (!TOKEN.test(name) || !VALUE.test(value)) fault ??= `field ${JSON.stringify(row)}`;
    return [name.toLowerCase(), value];
  });
  const values = (name: string): readonly string[] => fields.filter(([other]) => other === name).map(([, value]) => value);
  const [lengths, encodings] = [values('content-length'), values('transfer-encoding')];
  if (values('host').length !== 1) fault ??= 'not exactly one Host';
  if (lengths.length + encodings.length > 1) fault ??= 'more than one framing field';
  if (lengths.some((length) => !/^[0-9]{1,16}$/.test(length))) fault ??= `Content-Length ${lengths.join()}`;
  if (encodings.some((encoding) => encoding.toLowerCase() !== 'chunked')) fault ??= `Transfer-Encoding ${encodings.join()}`;
  const head = { method, target, fields };
  const at = headEnd + 4;
  if (values('upgrade').length > 0 && values('connection').some((value) => /\bupgrade\b/i.test(value))) {
    return { ...head, body: text.slice(at), framing: 'tunnel', complete: true, fault, end: text.length };
  }
  if (encodings.length > 0) {
    const chunks = readChunks(text, at);
    return { ...head, ...chunks, framing: 'chunked', fault: fault ?? chunks.fault };
  }
  const length = Number(lengths[0] ?? 0);
  const end = Math.min(text.length, at + length);
  const framing = lengths.length === 0 ? 'none' : 'length';
  return { ...head, body: text.slice(at, end), framing, complete: end === at + length, fault, end };
}

interface Chunks {
  readonly body: string;
  readonly complete: boolean;
  readonly fault: string | undefined;
  readonly end: number;
}

function readChunks(text: string, start: number): Chunks {
  let body = '';
  let at = start;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return { body, complete: false, fault: undefined, end: text.length };
    const size = text.slice(at, lineEnd);
    if (!/^[0-9A-Fa-f]{1,16}$/.test(size))
      return { body, complete: false, fault: `chunk size ${JSON.stringify(size.slice(0, 80))}`, end: text.length };
    const length = Number.parseInt(size, 16);
    const dataEnd = lineEnd + 2 + length;
    body += text.slice(lineEnd + 2, dataEnd);
    if (dataEnd + 2 > text.length) return { body, complete: false, fault: undefined, end: text.length };
    if (text.slice(dataEnd, dataEnd + 2) !== '\r\n') {
      const fault = length === 0 ? `trailer ${JSON.stringify(text.slice(dataEnd, dataEnd + 80))}` : 'chunk longer than its size';
      return { body, complete: false, fault, end: text.length };
    }
    at = dataEnd + 2;
    if (length === 0) return { body, complete: true, fault: undefined, end: at };
  }
}
