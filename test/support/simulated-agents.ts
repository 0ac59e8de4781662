/*
 * Many agents that speak the real feed from one process: each with its own connection, address and token, as the agent's own end of the
 * feed does it. They take every bundle and verify no signature.
 */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { FEED_AUDIENCE } from '../../src/api/kube/agent-contract.ts';
import { SLOT_STATEMENT_KEY } from '../../src/api/kube/names.ts';
import type { BundleFiles } from '../../src/bundle/decode.ts';
import { splitFiles } from '../../src/bundle/joined-files.ts';
import { peekStatement } from '../../src/bundle/statement.ts';
import type { KubeClient } from '../../src/cluster/client.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { listInCluster } from '../../src/cluster/list-objects.ts';
import { PODS } from '../../src/cluster/paths.ts';
import { type Frame, FrameReader, frameHead } from '../../src/feed/frames.ts';
import { PartStore } from '../../src/feed/parts.ts';
import {
  DOWN,
  encodeReport,
  FEED_PATH,
  FEED_PROTOCOL,
  HEARTBEAT_MS,
  HOLDS_HEADER,
  MAX_DOWN_BYTES,
  PARTS,
  TAKES_HEADER,
  UP,
} from '../../src/feed/protocol.ts';
import { segment } from '../unit/jwt/tokens.ts';

/** A pod whose agent is simulated. */
export interface SimulatedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** The address that the API server has for it; one of this host, which the agent connects from. */
  readonly address: string;
}

/** Where simulated agents connect to, and as what. */
export interface SimulatedAgentsOptions {
  readonly pods: readonly SimulatedPod[];
  readonly host?: string;
  readonly port: number;
  readonly authorities: string;
  readonly serverName: string;
  readonly tokenOf: (pod: SimulatedPod) => string;
  /** Agents take whole bundles only, as those of an earlier version; absent: they do not. */
  readonly isWhole?: boolean;
  /** Called whenever an agent took a bundle. */
  readonly onBundle?: (agent: SimulatedAgent) => void;
  /** Uniform in [0, 1); absent: Math.random. */
  readonly random?: () => number;
}

/** One agent. */
export interface SimulatedAgent {
  readonly pod: SimulatedPod;
  /** The bundle that it enforces; `''`: none. */
  readonly digest: string;
  readonly number: number;
  readonly isConnected: boolean;
}

/** All of them. */
export interface SimulatedAgents {
  readonly agents: readonly SimulatedAgent[];
  /** Number of agents that hold a stream. */
  readonly connected: () => number;
  /** Bytes of payloads of frames that brought bundles so far. */
  readonly bundleBytes: () => number;
  /** Connections that were refused or ended so far. */
  readonly failures: () => number;
  /** Resolves when `count` agents, all when absent, hold a stream. */
  readonly untilConnected: (count?: number) => Promise<void>;
  /** Ends all streams at the same time; agents connect again after their jitter. */
  readonly dropAll: () => void;
  /** Ends all streams for good. */
  readonly stop: () => void;
}

/** First and longest retry of the real agent, in milliseconds. */
const RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 60_000;
const CONNECT_MS = 10_000;

/** Connects agents, which reconnect as real ones do. */
export function connectSimulatedAgents(options: SimulatedAgentsOptions): SimulatedAgents {
  const context = createSecureContext({ ca: options.authorities });
  const shared: Shared = { ...options, context, counts: { bytes: 0, failures: 0, connected: 0 }, waiting: new Set(), isStopped: false };
  const agents = options.pods.map((pod) => new Agent(pod, shared));
  for (const agent of agents) agent.start();
  return {
    agents,
    connected: () => shared.counts.connected,
    bundleBytes: () => shared.counts.bytes,
    failures: () => shared.counts.failures,
    untilConnected: (count = agents.length) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (shared.counts.connected < count) return;
          shared.waiting.delete(check);
          resolve();
        };
        shared.waiting.add(check);
        check();
      }),
    dropAll: () => {
      for (const agent of agents) agent.drop();
    },
    stop: () => {
      shared.isStopped = true;
      for (const agent of agents) agent.drop();
    },
  };
}

interface Shared extends SimulatedAgentsOptions {
  readonly context: SecureContext;
  readonly counts: { bytes: number; failures: number; connected: number };
  readonly waiting: Set<() => void>;
  isStopped: boolean;
}

class Agent implements SimulatedAgent {
  readonly pod: SimulatedPod;
  digest = '';
  number = 0;
  isConnected = false;
  readonly #shared: Shared;
  #socket: TLSSocket | undefined;
  #received = 0;
  #failed = 0;
  readonly #parts = new PartStore();
  #holds = 0;
  #isMissing = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(pod: SimulatedPod, shared: Shared) {
    this.pod = pod;
    this.#shared = shared;
  }

  start(): void {
    const { host = '127.0.0.1', port, serverName, context, tokenOf, isWhole = false } = this.#shared;
    const tcp = connectTcp({ host, port, localAddress: this.pod.address });
    const socket = connect({ socket: tcp, servername: serverName, secureContext: context });
    tcp.on('error', () => socket.destroy());
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.destroy(), CONNECT_MS);
    let head = '';
    const reader = new FrameReader(MAX_DOWN_BYTES);
    socket.on('secureConnect', () => {
      const takes = isWhole ? [] : [`${TAKES_HEADER}: ${PARTS}`, `${HOLDS_HEADER}: ${this.#holds}`];
      const headers = [
        ...takes,
        `host: ${serverName}`,
        'connection: Upgrade',
        `upgrade: ${FEED_PROTOCOL}`,
        `authorization: Bearer ${tokenOf(this.pod)}`,
      ];
      socket.write(`GET ${FEED_PATH} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.isConnected) {
        this.#take(reader.push(chunk));
        return;
      }
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!head.startsWith('HTTP/1.1 101 ')) {
        socket.destroy();
        return;
      }
      this.#open();
      this.#take(reader.push(Buffer.from(head.slice(end + 4), 'latin1')));
      head = '';
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.isConnected = true;
    this.#received = 0;
    this.#isMissing = false;
    this.#failed = 0;
    this.#shared.counts.connected += 1;
    this.#report();
    for (const check of this.#shared.waiting) check();
  }

  #onClose(): void {
    const { counts, isStopped, random = Math.random } = this.#shared;
    clearTimeout(this.#timer);
    this.#failed += 1;
    if (this.isConnected) {
      counts.connected -= 1;
      this.#failed = 0;
    }
    counts.failures += 1;
    this.isConnected = false;
    if (isStopped) return;
    this.#timer = setTimeout(() => this.start(), random() * Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** Math.min(this.#failed, 8)));
  }

  #take(frames: readonly Frame[] | undefined): void {
    for (const { type, payload } of frames ?? []) {
      if (type === DOWN.bundle) this.#takeBundle(payload.length, splitFiles(payload));
      if (type !== DOWN.parts) continue;
      const assembled = this.#parts.assemble(payload, MAX_DOWN_BYTES);
      if (assembled.kind === 'invalid') throw new Error(assembled.reason);
      this.#isMissing = assembled.kind === 'missing';
      this.#takeBundle(payload.length, assembled.kind === 'files' ? assembled.files : undefined);
      this.#holds = this.#isMissing ? 0 : this.number;
    }
  }

  #takeBundle(bytes: number, files: BundleFiles | undefined): void {
    this.#shared.counts.bytes += bytes;
    this.#received += 1;
    const statement = peekStatement(Buffer.from(files?.[`0/${SLOT_STATEMENT_KEY}`] ?? []).toString('latin1'));
    if (statement !== undefined && statement.number > this.number) {
      this.number = statement.number;
      this.digest = statement.digest;
    }
    this.#report();
    this.#shared.onBundle?.(this);
  }

  #report(): void {
    const { digest, number } = this;
    const report = encodeReport({ digest, number, received: this.#received, ...(this.#isMissing ? { missing: true } : {}) });
    this.#socket?.write(Buffer.concat([frameHead(UP.report, report.length), report]));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#report(), HEARTBEAT_MS);
  }
}

/** Pods with an address of this host, as the API server has them. */
export async function simulatedPods(client: KubeClient): Promise<readonly SimulatedPod[]> {
  const pods: SimulatedPod[] = [];
  const visit = ({ metadata, ...pod }: RawObject): void => {
    const { podIP: address = '' } = (pod['status'] ?? {}) as { readonly podIP?: string };
    const { namespace = '', name = '', uid = '' } = metadata ?? {};
    if (address.startsWith('127.')) pods.push({ namespace, name, uid, address });
  };
  await listInCluster(client)({ resource: PODS }, visit, new AbortController().signal);
  return pods;
}

/** An address of this host for a pod, by its number. */
export function addressOf(at: number): string {
  return `127.${64 + Math.floor(at / 62_500)}.${Math.floor(at / 250) % 250}.${(at % 250) + 1}`;
}

/** Makes the tokens that the kubelet would get, with the key of a control plane: no request for each of thousands. @param stateDir its directory */
export function tokenSigner(stateDir: string): (pod: SimulatedPod) => string {
  const key = createPrivateKey(readFileSync(join(stateDir, 'pki', 'sa.key')));
  return (pod) => signToken(key, pod);
}

function signToken(key: KeyObject, { namespace, name, uid }: SimulatedPod): string {
  const claims = {
    iss: 'https://kubernetes.default.svc.cluster.local',
    aud: [FEED_AUDIENCE],
    exp: Math.floor(Date.now() / 1000) + 3600,
    'kubernetes.io': { namespace, pod: { name, uid }, serviceaccount: { name: 'default', uid: 'any' } },
  };
  const signed = `${segment({ alg: 'ES256' })}.${segment(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
