/*
 * Both ends of the gRPC benchmark as one program: `node grpc-peer.ts app PORT` answers every call, `node grpc-peer.ts load PORT CONNECTIONS STREAMS KIND` makes
 * calls until its standard input ends, and prints how many it made for each line that it reads. Frames are written by hand: neither end may
 * be slower than the proxies between them.
 */
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { TOKEN } from './demo-token.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 200]), Buffer.alloc(200, 'm')]);

function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  payload.copy(bytes, 9);
  return bytes;
}

function string(text: string): Buffer {
  const { length } = text;
  if (length < 127) return Buffer.from(String.fromCharCode(length) + text, 'latin1');
  const rest = length - 127;
  return Buffer.concat([
    Buffer.from([127, ...(rest < 128 ? [rest] : [(rest % 128) + 128, Math.floor(rest / 128)])]),
    Buffer.from(text, 'latin1'),
  ]);
}

const literal = (pattern: number, name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([pattern]), string(name), string(value)]);

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The largest windows, and many streams. */
const OPENING = Buffer.concat([
  frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(0x7fff_ffff), Buffer.from([0, 3]), uint32(10_000)])),
  frame(8, 0, 0, uint32(0x7fff_ffff - 65_535)),
]);
const SETTINGS_ACK = frame(4, 1, 0, Buffer.alloc(0));

/** Calls `onEnd` for the end of each stream and acknowledges settings; everything else is ignored. */
function readFrames(
  socket: Socket,
  isServer: boolean,
  write: (bytes: Buffer) => void,
  onEnd: (id: number) => void,
  onRead: () => void,
): void {
  let kept: Buffer = Buffer.alloc(0);
  let skip = isServer ? PREFACE.length : 0;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    let at = Math.min(skip, bytes.length);
    skip -= at;
    while (bytes.length - at >= 9) {
      const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
      if (bytes.length - at < 9 + length) break;
      const type = bytes[at + 3] ?? 0;
      const flags = bytes[at + 4] ?? 0;
      if (type <= 1 && (flags & 1) === 1) onEnd(bytes.readUInt32BE(at + 5));
      else if (type === 4 && flags === 0) write(SETTINGS_ACK);
      else if (!isServer && type === 3) throw new Error(`refused: frame ${type} ${bytes.toString('hex', at + 9, at + 9 + length)}`);
      else if (!isServer && type === 1 && bytes[at + 9] !== 0x88 && (flags & 1) === 0) throw new Error('a status other than 200');
      if (!isServer && type === 1 && (flags & 1) === 1 && length > 40) throw new Error('an answer of the proxy');
      at += 9 + length;
    }
    kept = bytes.subarray(at);
    onRead();
  });
}

function batch(socket: Socket): { readonly write: (bytes: Buffer) => void; readonly flush: () => void } {
  let waiting: Buffer[] = [];
  return {
    write: (bytes) => waiting.push(bytes),
    flush: () => {
      if (waiting.length > 0) socket.write(Buffer.concat(waiting));
      waiting = [];
    },
  };
}

function serve(port: number): void {
  const head = Buffer.concat([Buffer.from([0x88]), literal(0, 'content-type', 'application/grpc')]);
  const trailers = literal(0, 'grpc-status', '0');
  createServer((socket) => {
    const { write, flush } = batch(socket);
    write(OPENING);
    const answer = (id: number): void => {
      write(frame(1, 4, id, head));
      write(frame(0, 0, id, MESSAGE));
      write(frame(1, 5, id, trailers));
    };
    readFrames(socket, true, write, answer, flush);
  }).listen(port, '127.0.0.1');
}

const FIELDS: readonly (readonly [string, string])[] = [
  [':path', '/test.Echo/Unary'],
  [':authority', 'echo.foo.svc.cluster.local:8080'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
  ['user-agent', 'grpc-go/1.76.0'],
  ['x-client', 'bench'],
];

/** The first block puts the fields into the table, all later ones refer to it; as in most clients the token is never indexed. */
function blocks(kind: string): { readonly first: Buffer; readonly next: (nth: number) => Buffer } {
  const token = literal(0x10, 'authorization', `Bearer ${TOKEN}`);
  const start = Buffer.from([0x83, 0x86]);
  const first = Buffer.concat([start, ...FIELDS.map(([name, value]) => literal(0x40, name, value)), token]);
  const repeated = Buffer.concat([start, Buffer.from(FIELDS.map((_, at) => 0x80 | (62 + FIELDS.length - 1 - at))), token]);
  const changing = (nth: number): Buffer =>
    Buffer.concat([
      repeated,
      literal(0, 'traceparent', `00-${String(nth).padStart(32, '0')}-${String(nth).padStart(16, '0')}-01`),
      literal(0, 'grpc-timeout', `${(nth % 9000) + 1000}S`),
    ]);
  return { first, next: kind === 'changing' ? changing : () => repeated };
}

function load(port: number, connections: number, streams: number, kind: string): void {
  let calls = 0;
  for (let nth = 0; nth < connections; nth += 1) {
    const socket = connect(port, '127.0.0.1');
    const { write, flush } = batch(socket);
    const { first, next } = blocks(kind);
    const body = frame(0, 1, 1, MESSAGE);
    let id = 1;
    const call = (): void => {
      write(frame(1, 4, id, id === 1 ? first : next(calls)));
      const copy = Buffer.from(body);
      copy.writeUInt32BE(id, 5);
      write(copy);
      id += 2;
    };
    socket.write(Buffer.concat([PREFACE, OPENING]));
    for (let stream = 0; stream < streams; stream += 1) call();
    flush();
    readFrames(
      socket,
      false,
      write,
      () => {
        calls += 1;
        call();
      },
      flush,
    );
  }
  const lines = createInterface({ input: process.stdin });
  lines.on('line', () => process.stdout.write(`${calls}\n`));
  lines.on('close', () => process.exit());
}

const [role, port = '0', connections = '1', streams = '1', kind = 'repeated'] = process.argv.slice(2);
if (role === 'app') serve(Number(port));
else load(Number(port), Number(connections), Number(streams), kind);
