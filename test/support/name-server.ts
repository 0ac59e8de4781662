/*
 * A name server on loopback for tests: it knows the names that it is given, and says of all others that they do not exist.
 */
import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';

export interface NameServer {
  /** As `address:port`. */
  readonly address: string;
  /** Names that were asked for, in order. */
  readonly asked: readonly string[];
  readonly answer: (name: string, addresses: { readonly v4?: readonly string[]; readonly v6?: readonly string[] }) => void;
  /** Sends no response about a name. */
  readonly ignore: (name: string) => void;
  readonly stop: () => void;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const NAME_ERROR = 3;

/** Listens on a free port. */
export async function startNameServer(): Promise<NameServer> {
  const known = new Map<string, { readonly v4?: readonly string[]; readonly v6?: readonly string[] }>();
  const ignored = new Set<string>();
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query);
    asked.push(name);
    if (ignored.has(name)) return;
    const addresses = known.get(name);
    const records = (type === TYPE_A ? addresses?.v4 : type === TYPE_AAAA ? addresses?.v6 : []) ?? [];
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180 | (addresses === undefined ? NAME_ERROR : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([header, query.subarray(HEADER_BYTES, end), ...records.map(record)]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    answer: (name, addresses) => void known.set(name, addresses),
    ignore: (name) => void ignored.add(name),
    stop: () => socket.close(),
  };
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** A resource record about the name of the question. */
function record(address: string): Buffer {
  const data = bytesOf(address);
  const head = Buffer.from([0xc0, HEADER_BYTES, 0, isIPv4(address) ? TYPE_A : TYPE_AAAA, 0, 1, 0, 0, 0, 1, 0, data.length]);
  return Buffer.concat([head, data]);
}

function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [before = '', after = ''] = address.split('::');
  const groups = (text: string): readonly number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(before), groups(after)];
  const words = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}
