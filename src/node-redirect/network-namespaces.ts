/*
 * The network namespaces of the pods of this node: files that the container runtime mounts into a directory, and what a process sees while it is
 * in one of them. The main thread enters it by setns(2) and leaves it before anything else runs, which takes about 10 µs. Needs CAP_SYS_ADMIN.
 * @see https://man7.org/linux/man-pages/man2/setns.2.html
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { WAIT_SOCKET_PREFIX } from '../api/kube/agent-contract.ts';
import { InvariantError, RefusedError, TransientError } from '../errors.ts';
import { hasIpv6 } from '../inject/redirect/rules.ts';
import { openLibc } from '../libc.ts';
import { plainAddress } from '../plain-address.ts';

/** A network namespace that the runtime has mounted. */
export interface NamespaceFile {
  readonly path: string;
  /**
   * Name, device and inode: other than the UID of a pod, it is another one when the sandbox of the pod is created again. The kernel reuses
   * inode numbers, and runtimes never reuse names.
   */
  readonly key: string;
}

/** What is in a network namespace. */
export interface NamespaceContent {
  /** Addresses of its interfaces, without zones. */
  readonly addresses: ReadonlySet<string>;
  readonly hasIpv6: boolean;
  /** UIDs of the pods whose init containers wait here: one, unless a pod claims to be another one. At most {@link MAX_WAITING}. */
  readonly waiting: readonly string[];
  /** There are more sockets than are read, so that `waiting` is empty. */
  readonly isCrowded: boolean;
}

/** Runs synchronous code in a network namespace. @throws TransientError SP_REDIRECT if it cannot be entered */
export type EnterNamespace = <T>(path: string, run: () => T) => T;

const CLONE_NEWNET = 0x40000000;
const OWN_NAMESPACE = '/proc/self/ns/net';
/** Most namespaces of a node that are looked at; kubelets run 110 pods by default. */
const MAX_NAMESPACES = 4_096;
/*
 * What is in a namespace is the pod's choice. An honest one that waits has an address or two and a few sockets; all pods share the one thread
 * that reads, so that a namespace with more than this does not get its redirect.
 */
const MAX_ADDRESSES = 64;
const MAX_WAITING = 8;
/** Some 2,000 sockets, which take about 5 ms. */
const MAX_TABLE_BYTES = 256 * 1024;
const table = Buffer.alloc(MAX_TABLE_BYTES);

interface Calls {
  readonly setns: (fd: number, type: number) => number;
}

/**
 * A function that enters network namespaces. It must be called on the main thread.
 *
 * @param leave ends the process when it cannot return to its own namespace; does not return
 * @throws RefusedError SP_CONFIG if this Node.js cannot call setns
 */
export function openNamespaces(leave: (reason: string) => never): EnterNamespace {
  const libc = openLibc<Calls>({ setns: { return: 'i32', arguments: ['i32', 'i32'] } });
  if ('problem' in libc) throw new RefusedError('SP_CONFIG', libc.problem);
  const { setns } = libc.functions;
  const own = openSync(OWN_NAMESPACE, 'r');
  let isAway = false;
  return (path, run) => {
    if (isAway) throw new InvariantError('a network namespace was entered from another one');
    const fd = openSync(path, 'r');
    try {
      if (setns(fd, CLONE_NEWNET) !== 0) {
        throw new TransientError(
          'SP_REDIRECT',
          `cannot enter the network namespace ${path}: is it one, and has this process CAP_SYS_ADMIN?`,
        );
      }
      isAway = true;
      try {
        return run();
      } finally {
        if (setns(own, CLONE_NEWNET) !== 0) leave('cannot return to the own network namespace');
        isAway = false;
      }
    } finally {
      closeSync(fd);
    }
  };
}

/** The mounted namespaces below a directory, and not that of this process; none if there is no such directory. */
export function listNamespaces(directory: string): readonly NamespaceFile[] {
  const own = keyOfFile(OWN_NAMESPACE);
  const folder = statSync(directory, { throwIfNoEntry: false });
  if (folder === undefined) return [];
  const found: NamespaceFile[] = [];
  for (const name of readdirSync(directory).slice(0, MAX_NAMESPACES)) {
    const path = join(directory, name);
    const file = statSync(path, { throwIfNoEntry: false });
    // The runtime creates an empty file, which is on the file system of the directory, and then mounts the namespace over it.
    if (file === undefined || file.dev === folder.dev) continue;
    const key = `${file.dev}:${file.ino}`;
    if (key !== own) found.push({ path, key: `${name}:${key}` });
  }
  return found;
}

/** Reads the namespace that the process is in, unless it has none of the addresses. */
export function readContent(wanted: ReadonlySet<string>): NamespaceContent | undefined {
  const addresses = addressesOf(networkInterfaces());
  if (![...wanted].some((address) => addresses.has(address))) return undefined;
  const sockets = readTable('/proc/net/unix');
  return {
    addresses,
    hasIpv6: hasIpv6(readTable('/proc/net/if_inet6').text),
    waiting: sockets.isWhole ? waitingIn(sockets.text) : [],
    isCrowded: !sockets.isWhole,
  };
}

/** The first addresses of interfaces, without zones; at most {@link MAX_ADDRESSES}. */
export function addressesOf(interfaces: ReturnType<typeof networkInterfaces>): ReadonlySet<string> {
  const entries = Object.values(interfaces).flatMap((list = []) => list.slice(0, MAX_ADDRESSES));
  return new Set(entries.slice(0, MAX_ADDRESSES).map(({ address }) => plainAddress(address)));
}

/** UIDs in the names of abstract sockets. @param text content of /proc/net/unix, whose last column is the name, with `@` in front */
export function waitingIn(text: string): readonly string[] {
  const prefix = `@${WAIT_SOCKET_PREFIX}`;
  const found = new Set<string>();
  for (const line of text.split('\n')) {
    const name = line.slice(line.lastIndexOf(' ') + 1);
    if (name.startsWith(prefix)) found.add(name.slice(prefix.length));
    if (found.size === MAX_WAITING) break;
  }
  return [...found];
}

/** At most {@link MAX_TABLE_BYTES} of a file of the kernel, which returns it in parts. */
function readTable(path: string): { readonly text: string; readonly isWhole: boolean } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    // A kernel without IPv6 has no such file.
    return { text: '', isWhole: true };
  }
  try {
    let length = 0;
    let read: number;
    do {
      read = readSync(fd, table, length, table.length - length, null);
      length += read;
    } while (read > 0 && length < table.length);
    return { text: table.toString('latin1', 0, length), isWhole: length < table.length };
  } finally {
    closeSync(fd);
  }
}

function keyOfFile(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}
