/*
 * Waits until a program on the node has set the redirect of this pod: the task of the init container `sallyport-init` of pods without NET_ADMIN.
 * It asks the packet filter itself, by connections to the canary port that arrive at its own sockets only if the rules are active. A connection
 * that anything else accepts does not count, so that the pod starts with its rules or not at all.
 * @see docs/adr/0051-redirects-by-a-program-on-the-node.md
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_CANARY_PORT, WAIT_SOCKET_PREFIX } from '../../api/kube/agent-contract.ts';
import { RefusedError, TransientError } from '../../errors.ts';
import { readInterfaces } from './apply-redirect.ts';
import { hasIpv6, parseRedirect, type Redirect } from './rules.ts';

/** The loopback addresses at which the canary is asked, by address family. */
const LOOPBACK = { IPv4: '127.0.0.1', IPv6: '::1' } as const;
type Family = keyof typeof LOOPBACK;

/** Longest wait: a node that has just joined first pulls the image of the program. */
const WAIT_MS = 300_000;
/** Shortest and longest pause between two attempts: after a while, all pods of a node may wait. */
const POLL_MS = 100;
const MAX_POLL_MS = 1_000;
/** Share of the time waited so far that the next pause is longer by. */
const POLL_GROWTH = 0.05;
/** Time between two messages. */
const REPORT_MS = 15_000;
/** Longest time of one attempt: an answer comes from the same machine. */
const ANSWER_MS = 2_000;
/** Connections to a socket of ours at the same time; others come from the pod's own network namespace only, where nothing else runs yet. */
const MAX_CONNECTIONS = 16;

/** Who waits, and for how long. */
export interface WaitOptions {
  /** UID of the pod, by which the program on the node knows it. */
  readonly podUid: string;
  /** For messages; absent: not known. */
  readonly nodeName?: string;
  /** Called at the start and then from time to time, with what is missing. */
  readonly report: (message: string) => void;
  /** Longest wait in milliseconds; absent: five minutes. */
  readonly waitMs?: number;
}

/**
 * Resolves when the redirect is set for each address family that the pod has.
 *
 * @param args those of the redirect, see `parseRedirect`
 * @returns the families
 * @throws RefusedError SP_CONFIG for invalid arguments; TransientError SP_REDIRECT at the deadline, or when `signal` aborts
 */
export async function waitForRedirect(
  args: readonly string[],
  { podUid, nodeName, report, waitMs = WAIT_MS }: WaitOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const redirect = parseRedirect(args);
  if (!/^[\w-]{1,64}$/.test(podUid)) throw new RefusedError('SP_CONFIG', `"${podUid}" is not the UID of a pod`);
  const sockets = new Sockets(redirect.rest);
  const start = performance.now();
  const deadline = start + waitMs;
  let nextReport = 0;
  try {
    await sockets.announce(podUid);
    for (;;) {
      const families = familiesOf(redirect, await readInterfaces());
      const missing = await missingFamilies(sockets, families);
      if (missing.length === 0) return families;
      const message = describe(missing, nodeName);
      if (signal.aborted) throw new TransientError('SP_REDIRECT', `stopped: ${message}`);
      if (performance.now() > deadline) throw new TransientError('SP_REDIRECT', `${message}; gave up after ${waitMs / 1000} s`);
      if (performance.now() > nextReport) {
        report(message);
        nextReport = performance.now() + REPORT_MS;
      }
      await sleep(Math.min(MAX_POLL_MS, POLL_MS + (performance.now() - start) * POLL_GROWTH));
    }
  } finally {
    sockets.close();
  }
}

/** A pod always has IPv4 on its loopback interface. */
function familiesOf(redirect: Redirect, interfaces: string): readonly Family[] {
  return redirect.ipv6 === 'auto' && hasIpv6(interfaces) ? ['IPv4', 'IPv6'] : ['IPv4'];
}

async function missingFamilies(sockets: Sockets, families: readonly Family[]): Promise<readonly Family[]> {
  const missing: Family[] = [];
  for (const family of families) {
    if (!(await sockets.isRedirected(family))) missing.push(family);
  }
  return missing;
}

function describe(missing: readonly Family[], nodeName: string | undefined): string {
  const node = nodeName === undefined ? 'this node' : `node ${nodeName}`;
  return (
    `waiting until the DaemonSet of Sallyport redirects the connections of this pod (${missing.join(' and ')}); ` +
    `is its pod on ${node} ready? kubectl get pods -A -l app.kubernetes.io/component=node -o wide`
  );
}

/** The sockets that redirected connections arrive at, and the one that says whose they are. */
class Sockets {
  readonly #port: number;
  readonly #servers = new Map<Family | 'announcement', Server>();
  /** Client ports of the connections that arrived and were not asked for yet, by family. */
  readonly #arrived = new Map<Family, (client: Socket) => void>();

  /** @param port that connections are redirected to */
  constructor(port: number) {
    this.#port = port;
  }

  /** Says in the network namespace of the pod that it waits. */
  async announce(podUid: string): Promise<void> {
    const server = createServer((socket) => socket.destroy());
    this.#servers.set('announcement', server);
    await listening(server, { path: `\0${WAIT_SOCKET_PREFIX}${podUid}` });
  }

  /** Whether a connection to the canary arrives here. */
  async isRedirected(family: Family): Promise<boolean> {
    await this.#listen(family);
    const socket = connect({ host: LOOPBACK[family], port: AGENT_CANARY_PORT });
    try {
      return await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), ANSWER_MS);
        const settle = (isOurs: boolean): void => {
          clearTimeout(timer);
          resolve(isOurs);
        };
        // The kernel completes a connection before it is accepted, so `connect` comes in any order with the arrival.
        this.#arrived.set(family, ({ remoteAddress, remotePort }) => {
          const { address, port } = socket.address() as AddressInfo;
          if (remotePort === port && remoteAddress === address) settle(true);
        });
        socket.on('error', () => settle(false));
        socket.on('close', () => settle(false));
      });
    } finally {
      this.#arrived.delete(family);
      socket.destroy();
    }
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
  }

  async #listen(family: Family): Promise<void> {
    if (this.#servers.has(family)) return;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      this.#arrived.get(family)?.(socket);
      socket.destroy();
    });
    server.maxConnections = MAX_CONNECTIONS;
    await listening(server, { host: LOOPBACK[family], port: this.#port });
    this.#servers.set(family, server);
  }
}

function listening(server: Server, where: { readonly path: string } | { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new TransientError('SP_REDIRECT', `cannot wait for the redirect: ${cause.message}`, { cause }));
    });
    server.listen(where, resolve);
  });
}
