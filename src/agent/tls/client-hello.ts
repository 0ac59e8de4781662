/*
 * Reads the server name and the protocols of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301), without a handshake.
 */

/** What a client announces before its handshake. */
export interface ClientHello {
  /** In lower case; `''`: no name. */
  readonly sni: string;
  /** Protocols of the application in the client's order (ALPN), as latin1; empty: none. */
  readonly protocols: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const HANDSHAKE_HEADER = 4;
const RANDOM_AND_VERSION = 34;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const ALPN = 16;
/** Letters, digits, hyphens, dots and underscores; anything else cannot be a host name. */
const NAME = /^[A-Za-z0-9._-]{1,255}$/;

/** Whether bytes from `start` may begin a TLS connection. */
export function isTlsRecord(bytes: Buffer): boolean {
  return bytes[0] === HANDSHAKE && (bytes.length < 2 || bytes[1] === 3);
}

/**
 * Reads the ClientHello that `bytes` begin with; it may be split into several records.
 * @returns `more`: it is not complete; `none`: something else
 */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | 'none' {
  const message = joinRecords(bytes);
  if (message === 'none') return 'none';
  if (message.length < HANDSHAKE_HEADER) return 'more';
  if (message[0] !== CLIENT_HELLO) return 'none';
  const end = messageLength(message);
  if (message.length < end) return 'more';
  return readExtensions(new Reader(message.subarray(HANDSHAKE_HEADER, end)));
}

/** The payload of the records of the first handshake message, as far as they have arrived. What follows may be early data. */
function joinRecords(bytes: Buffer): Buffer | 'none' {
  const parts: Buffer[] = [];
  let joined = 0;
  /** Of the message, once its header is there. */
  let length = Number.POSITIVE_INFINITY;
  for (let at = 0; at + RECORD_HEADER <= bytes.length; ) {
    if (joined >= length) break;
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3) return 'none';
    const recordLength = bytes.readUInt16BE(at + 3);
    if (recordLength === 0) return 'none';
    const part = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + recordLength);
    parts.push(part);
    joined += part.length;
    at += RECORD_HEADER + recordLength;
    if (length === Number.POSITIVE_INFINITY && joined >= HANDSHAKE_HEADER) length = messageLength(Buffer.concat(parts));
  }
  return Buffer.concat(parts);
}

/** With its header, which `bytes` begin with. */
function messageLength(bytes: Buffer): number {
  return HANDSHAKE_HEADER + bytes.readUIntBE(1, 3);
}

function readExtensions(hello: Reader): ClientHello {
  hello.skip(RANDOM_AND_VERSION);
  hello.skip(hello.uint8());
  hello.skip(hello.uint16());
  hello.skip(hello.uint8());
  const extensions = hello.part(hello.uint16());
  let sni: string | undefined;
  let protocols: readonly string[] | undefined;
  while (extensions.hasMore) {
    const type = extensions.uint16();
    const body = extensions.part(extensions.uint16());
    if (type === SERVER_NAME) sni ??= serverNameOf(body);
    else if (type === ALPN) protocols ??= protocolsOf(body);
  }
  return { sni: sni ?? '', protocols: protocols ?? [] };
}

function serverNameOf(body: Reader): string {
  const names = body.part(body.uint16());
  while (names.hasMore) {
    const isHost = names.uint8() === HOST_NAME;
    const name = names.text(names.uint16());
    if (isHost) return NAME.test(name) ? name.toLowerCase() : '';
  }
  return '';
}

function protocolsOf(body: Reader): readonly string[] {
  const list = body.part(body.uint16());
  const protocols: string[] = [];
  while (list.hasMore) protocols.push(list.text(list.uint8()));
  return protocols;
}

/** Reads forward; beyond the end everything is 0 or empty. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  skip(length: number): void {
    this.#at += length;
  }

  uint8(): number {
    this.#at += 1;
    return this.#bytes[this.#at - 1] ?? 0;
  }

  uint16(): number {
    return this.uint8() * 256 + this.uint8();
  }

  part(length: number): Reader {
    this.#at += length;
    return new Reader(this.#bytes.subarray(this.#at - length, this.#at));
  }

  text(length: number): string {
    this.#at += length;
    return this.#bytes.toString('latin1', this.#at - length, this.#at);
  }
}
