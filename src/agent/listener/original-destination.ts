/*
 * The address and port that a client connected to before the connection was redirected to the agent. Node.js has no function for it;
 * getsockopt(2) with SO_ORIGINAL_DST is called through `node:ffi`, once per connection.
 * @see docs/adr/0032-one-captured-port.md
 */
import { isIPv4, type Socket, SocketAddress } from 'node:net';
import { type Libc, openLibc } from '../../libc.ts';
import { plainAddress } from '../../plain-address.ts';

/** Where a client connected to. */
export interface OriginalDestination {
  /** As policies see it: IPv4 also for a client of IPv4 on a socket of IPv6. */
  readonly address: string;
  readonly port: number;
}

/** Reads the original destination of an accepted socket; undefined: the kernel knows none, because the connection was not redirected. */
export type OriginalDestinationReader = (accepted: Socket) => OriginalDestination | undefined;

/** The reader of this process, or why it cannot read. */
export type ReaderOrProblem = { readonly read: OriginalDestinationReader } | { readonly problem: string };

interface Calls {
  /** With file descriptor, level, option, and the addresses of value and length. */
  readonly getsockopt: (...args: readonly [fd: number, level: number, option: number, value: bigint, length: bigint]) => number;
}

const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
const GETSOCKOPT = { return: 'i32', arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'] };

/** Opens the reader. @param loadFfi the module `node:ffi`; undefined where Node.js has none */
export function openOriginalDestination(loadFfi?: () => unknown): ReaderOrProblem {
  if (process.platform !== 'linux') return { problem: `SO_ORIGINAL_DST exists on Linux only, not on ${process.platform}` };
  const libc = openLibc<Calls>({ getsockopt: GETSOCKOPT }, loadFfi);
  return 'problem' in libc ? libc : { read: readerOf(libc) };
}

function readerOf({ functions: { getsockopt }, addressOf }: Libc<Calls>): OriginalDestinationReader {
  const value = Buffer.alloc(SOCKADDR_IN6_BYTES);
  const length = new Uint32Array(1);
  // Both stay referenced by this closure, so the addresses stay valid.
  const valueAt = addressOf(value);
  const lengthAt = addressOf(length);
  return (accepted) => {
    const fd = descriptorOf(accepted);
    if (fd === undefined) return undefined;
    const is4 = isIPv4(plainAddress(accepted.localAddress ?? ''));
    length[0] = is4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES;
    const failed = getsockopt(fd, is4 ? SOL_IP : SOL_IPV6, SO_ORIGINAL_DST, valueAt, lengthAt);
    if (failed !== 0) return undefined;
    return { address: is4 ? address4(value) : address6(value), port: value.readUInt16BE(2) };
  };
}

/** sockaddr_in: family, port, address. */
function address4(value: Buffer): string {
  return `${value[4]}.${value[5]}.${value[6]}.${value[7]}`;
}

/** sockaddr_in6: family, port, flow, address, scope. */
function address6(value: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => value.readUInt16BE(8 + at * 2).toString(16));
  return plainAddress(new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address);
}

function descriptorOf(accepted: Socket): number | undefined {
  const handle: unknown = Reflect.get(accepted, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
