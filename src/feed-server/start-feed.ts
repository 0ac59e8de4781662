/*
 * The HTTPS server of the feed. Every connection has deadlines from its first byte on, each address few connections, and a
 * client without a good token gets one short response.
 */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureVersion } from 'node:tls';
import { objectKey } from '../api/kube/keys.ts';
import { IDENTITIES } from '../feed/identities.ts';
import { ACCEPTS_HEADER, FEED_PATH, FEED_PROTOCOL, HOLDS_HEADER, PARTS, PODS, TAKES_HEADER, UNKNOWN_KEYS } from '../feed/protocol.ts';
import { REPLICA } from '../feed/relay-frames.ts';
import { plainAddress } from '../plain-address.ts';
import type { Logger } from '../telemetry/logger.ts';
import {
  type AgentStreams,
  type AgentStreamsOptions,
  type AgentTraits,
  createAgentStreams,
  type FeedObserver,
  faultOfOurPod,
  faultOfPod,
} from './agent-streams.ts';
import { FeedRefusal, type RefusalReason } from './feed-refusal.ts';
import { type ConnectionLimits, holdConnections } from './hold-connections.ts';
import type { PodIdentity, PodTokens } from './pod-tokens.ts';

/** Options of {@link startFeed}. */
export interface FeedServerOptions extends AgentStreamsOptions {
  readonly host: string;
  /** Port to listen on; 0: any free port. */
  readonly port: number;
  readonly tlsMinVersion: SecureVersion;
  readonly tokens: PodTokens;
  /** Absent: those of {@link CONNECTIONS}. */
  readonly connections?: ConnectionLimits;
  /** ServiceAccount, `namespace/name`, of agents that serve all pods of their node over one stream; absent: every agent serves its own pod. */
  readonly nodeAgent?: string;
  /** ServiceAccount, `namespace/name`, of the replicas of the controller; absent: no other replica serves agents. */
  readonly replicaAccount?: string | undefined;
  /** Whether this replica, which does not lead, is connected to the leader; absent: it never is, and agents are sent to the leader. */
  readonly isRelaying?: () => boolean;
  /** Whether the caches of this replica are filled. */
  readonly isReady: () => boolean;
  /** Address of the leader, where agents are sent; undefined: not known. */
  readonly leaderHost: () => string | undefined;
  readonly observer: FeedObserver & { readonly onRefused: (reason: RefusalReason) => void };
  readonly logger: Logger;
}

/** The running feed. */
export interface RunningFeed {
  readonly port: number;
  readonly streams: () => number;
  /** Agents that hold their streams to other replicas. */
  readonly relayed: () => number;
  /** Pods that hold two streams. */
  readonly doubled: () => number;
  /** Sets the certificate of new connections, and the authorities in PEM that agents have to trust. Without a call every handshake fails. */
  readonly serve: (certificate: { readonly certPem: string; readonly keyPem: string }, authorities: string) => void;
  /** Ends all streams and stops listening. */
  readonly stop: () => Promise<void>;
}

/** Of one address four, streams included: an agent has one, and another while it reconnects. An agent waits for 10 s in all. */
const CONNECTIONS: ConnectionLimits = { perAddress: 4, unidentified: 1_024, waiting: 8_192, waitMs: 6_000 };
/** More than anyone runs. */
const MAX_REPLICAS = 8;
const HEAD_MS = 5_000;
const HANDSHAKE_MS = 10_000;
/** Longest time to verify a token, with a read of the cluster's keys. */
const VERIFY_MS = 10_000;

const STATUS: Readonly<Record<RefusalReason, string>> = {
  protocol: '426 Upgrade Required',
  token: '401 Unauthorized',
  pod: '403 Forbidden',
  address: '403 Forbidden',
  full: '503 Service Unavailable',
  'not-leading': '503 Service Unavailable',
  unavailable: '503 Service Unavailable',
};

/** Starts listening. @throws the system error if the port is not available */
export async function startFeed(options: FeedServerOptions): Promise<RunningFeed> {
  const { tlsMinVersion, logger } = options;
  const streams = createAgentStreams(options);
  const stopping = new AbortController();
  let authorities = '';
  const server = createServer({
    headersTimeout: HEAD_MS,
    requestTimeout: HEAD_MS,
    connectionsCheckingInterval: 1_000,
    handshakeTimeout: HANDSHAKE_MS,
    keepAliveTimeout: 1,
    maxHeaderSize: 16 * 1024,
    minVersion: tlsMinVersion,
    pauseOnConnect: true,
  });
  const connections = holdConnections(server, options.connections ?? CONNECTIONS, options.clock);
  server.on('tlsClientError', (error) => logger.debug({ err: error }, 'TLS handshake failed'));
  server.on('request', (_request, response) => {
    options.observer.onRefused('protocol');
    response.writeHead(426, { upgrade: FEED_PROTOCOL, connection: 'Upgrade, close' }).end();
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // The agent may go away at any time.
    socket.on('error', () => undefined);
    void accept(options, request, { head, signal: stopping.signal, streams }).then(
      ({ identity, client, ...traits }) => {
        if (socket.destroyed) return;
        connections.onIdentified(request.socket);
        const accepts = `${ACCEPTS_HEADER}: ${[UNKNOWN_KEYS, ...(options.identities === undefined ? [] : [IDENTITIES])].join(', ')}`;
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${FEED_PROTOCOL}\r\n${accepts}\r\n\r\n`);
        if (client === 'replica') streams.addReplica(identity, socket);
        else (client === 'node' ? streams.addNode : streams.add)(identity, socket, { ...traits, authorities });
      },
      (error: unknown) => refuse(options, socket, error),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    streams: streams.size,
    relayed: streams.relayed,
    doubled: streams.doubled,
    serve: ({ certPem, keyPem }, trusted) => {
      server.setSecureContext({ cert: certPem, key: keyPem, minVersion: tlsMinVersion });
      authorities = trusted;
    },
    stop: () => {
      stopping.abort();
      streams.stop();
      connections.close();
      server.closeAllConnections();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

interface Attempt {
  /** Bytes behind the request: an agent sends none before it has the response. */
  readonly head: Buffer;
  readonly signal: AbortSignal;
  readonly streams: Pick<AgentStreams, 'size' | 'replicas'>;
}

interface Accepted extends Omit<AgentTraits, 'authorities'> {
  readonly identity: PodIdentity;
  /** An agent of one pod or of a node, or another replica of the controller. */
  readonly client: 'pod' | 'node' | 'replica';
}

/** The pod that a request is from, and what it asks for. @throws FeedRefusal */
async function accept(options: FeedServerOptions, request: IncomingMessage, { head, signal, streams }: Attempt): Promise<Accepted> {
  const { method, url, headers, socket } = request;
  if (method !== 'GET' || url !== FEED_PATH || headers.upgrade !== FEED_PROTOCOL || head.length > 0)
    throw new FeedRefusal('protocol', `not a request of ${FEED_PROTOCOL}`);
  const traits = traitsOf(headers);
  requireServing(options, traits.client);
  if (!options.isReady()) throw new FeedRefusal('unavailable', 'the caches are not filled yet');
  const [, token] = /^Bearer ([A-Za-z0-9._-]+)$/.exec(headers.authorization ?? '') ?? [];
  if (token === undefined) throw new FeedRefusal('token', 'there is no token');
  const identity = await options.tokens.verify(token, AbortSignal.any([signal, AbortSignal.timeout(VERIFY_MS)]));
  const fault = faultOf(options, { client: traits.client, identity, address: plainAddress(socket.remoteAddress ?? '') });
  if (fault === 'pod') throw new FeedRefusal('pod', 'the token is of a pod that does not exist, or has no agent');
  if (fault === 'address') throw new FeedRefusal('address', 'the token is of a pod with another address');
  const isFull = traits.client === 'replica' ? streams.replicas() >= MAX_REPLICAS : streams.size() >= options.maxStreams;
  if (isFull) throw new FeedRefusal('full', 'there are too many streams');
  // A token takes a moment to verify.
  requireServing(options, traits.client);
  return { identity, ...traits };
}

/** @throws FeedRefusal unless this replica leads, or serves agents for the leader */
function requireServing({ reports, isRelaying }: FeedServerOptions, client: Accepted['client']): void {
  if (reports.isLeading() || (client !== 'replica' && isRelaying?.() === true)) return;
  throw new FeedRefusal('not-leading', 'another replica leads');
}

/** Why a client may not have a stream; undefined: it may. */
function faultOf(
  { source, nodeAgent = '', replicaAccount = '' }: FeedServerOptions,
  { client, identity, address }: Pick<Accepted, 'client' | 'identity'> & { readonly address: string },
): 'pod' | 'address' | undefined {
  const pod = source.podOf(objectKey(identity.namespace, identity.name));
  if (client === 'node' && pod?.nodeName === undefined) return 'pod';
  if (client === 'pod') return faultOfPod(pod, identity, address);
  return faultOfOurPod(pod, identity, { address, account: client === 'node' ? nodeAgent : replicaAccount });
}

/** What the headers of a request ask for; what this version does not know is ignored. */
function traitsOf(headers: IncomingMessage['headers']): Omit<Accepted, 'identity'> {
  const takes = String(headers[TAKES_HEADER] ?? '').split(/,\s*/);
  const holds = Number(headers[HOLDS_HEADER] ?? 0);
  const client = takes.includes(REPLICA) ? 'replica' : takes.includes(PODS) ? 'node' : 'pod';
  return { client, takesParts: takes.includes(PARTS), holds: Number.isSafeInteger(holds) ? holds : 0 };
}

function refuse({ observer, logger, leaderHost, port }: FeedServerOptions, socket: Duplex, error: unknown): void {
  const refusal = error instanceof FeedRefusal ? error : new FeedRefusal('unavailable', 'internal error', { cause: error });
  const { reason } = refusal;
  observer.onRefused(reason);
  logger.debug({ err: refusal, reason }, 'stream refused');
  if (socket.destroyed) return;
  const leader = reason === 'not-leading' ? leaderHost() : undefined;
  const status = leader === undefined ? STATUS[reason] : '307 Temporary Redirect';
  const location = leader === undefined ? '' : `Location: https://${isIPv6(leader) ? `[${leader}]` : leader}:${port}${FEED_PATH}\r\n`;
  socket.end(`HTTP/1.1 ${status}\r\n${location}Sallyport-Reason: ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
