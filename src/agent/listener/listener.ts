/*
 * Accepts the connections of one port of the agent; wires the codecs, the exchange and the upstream together.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import { pause } from '../../limits/timers.ts';
import { plainAddress } from '../../plain-address.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { Http2ServerConnection } from '../http2/server-connection.ts';
import { listenOn } from '../net/listen-on.ts';
import { AcceptedSocket } from '../net/socket-events.ts';
import { TcpConnection } from '../tcp/tcp-connection.ts';
import { detectTls } from '../tls/detect-tls.ts';
import { TlsConnection, type TlsHost } from '../tls/tls-connection.ts';
import type { TlsTermination } from '../tls/tls-termination.ts';
import type {
  Destination,
  DestinationAddress,
  DestinationContext,
  DestinationOwner,
  PlainConnection,
  PortProtocol,
  ServerConnection,
} from './destination.ts';
import { type CaptureOptions, type Destinations, FixedDestination, OriginalDestinations } from './destinations.ts';
import { detectHttp2 } from './detect-http2.ts';
import { UndecidedConnection } from './undecided-connection.ts';

/** Receives the number of client connections. */
export interface ConnectionObserver {
  onConnectionOpened(): void;
  onConnectionClosed(reason: CloseReason): void;
  /** A connection was refused because there are too many. */
  onConnectionRefused(): void;
}

/** Shared by all listeners of an agent. */
export interface ListenerContext extends DestinationContext {
  readonly connections: ConnectionObserver;
}

/** Where a listener listens and where its connections lead. */
export interface ListenerOptions {
  /** Undefined: every address. */
  readonly listenHost: string | undefined;
  /** 0: any free port. */
  readonly listenPort: number;
  /** The only destination, or how to know the one that each client connected to. */
  readonly destination: DestinationAddress | CaptureOptions;
}

/** One listen port. */
export class Listener implements DestinationOwner {
  readonly #context: ListenerContext;
  readonly #options: ListenerOptions;
  readonly #destinations: Destinations;
  readonly #server: Server;
  readonly #connections: BoundedSet<ServerConnection>;
  #stopping = false;

  constructor(options: ListenerOptions, context: ListenerContext) {
    this.#connections = new BoundedSet(LIMITS.clientConnections, context.limits.maxConnections);
    this.#context = context;
    this.#options = options;
    this.#destinations = destinationsOf(options, context, this);
    this.#server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: LIMITS.keepAliveProbes.value },
      (socket) => this.#accept(socket),
    );
  }

  /** Starts listening. @returns the port @throws the system's error when the address is in use */
  start(): Promise<number> {
    return listenOn(this.#server, this.#options.listenHost, this.#options.listenPort);
  }

  /** Closes what has passed its deadline. */
  sweep(nowMs: number): void {
    for (const connection of this.#connections) connection.sweep(nowMs);
    this.#destinations.sweep(nowMs);
  }

  /**
   * Closes each connection after its next response, for at most `drainMs` or until none is left; then ends the rest. Connections are
   * accepted meanwhile: clients learn some moments later that the agent stops.
   */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    for (const connection of this.#connections) connection.finish();
    await this.#untilClosed(drainMs);
    this.#server.close();
    for (const connection of this.#connections) connection.shutDown();
    await this.#untilClosed(drainMs === 0 ? 0 : LIMITS.drainCloseTime.value);
    for (const connection of this.#connections) connection.destroy('shutdown');
    this.#destinations.destroy();
  }

  onHttp(connection: UndecidedConnection, destination: Destination): void {
    this.#connections.delete(connection);
    this.#serveHttp(connection.client, connection.facts, destination);
  }

  onChanged(connection: ServerConnection, next: ServerConnection): void {
    this.#connections.delete(connection);
    this.#add(next);
  }

  onConnectionClosed(connection: ServerConnection, reason: CloseReason, destination: Destination): void {
    if (!this.#connections.delete(connection)) return;
    destination.clients -= 1;
    this.#context.connections.onConnectionClosed(reason);
  }

  async #untilClosed(ms: number): Promise<void> {
    const { clock } = this.#context;
    const endMs = clock.nowMs() + ms;
    while (this.#connections.size > 0 && clock.nowMs() < endMs) await pause(LIMITS.drainPoll);
  }

  #accept(socket: Socket): void {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) {
      // The client has reset the connection already. What it sent could still be read, but no policy would see its address.
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#context.limits.maxConnections) {
      LIMITS.clientConnections.hit();
      this.#context.connections.onConnectionRefused();
      socket.resetAndDestroy();
      return;
    }
    const destination = this.#destinations.of(socket);
    if (destination === undefined) {
      socket.resetAndDestroy();
      return;
    }
    this.#serve(new AcceptedSocket(socket), factsOf(socket, remoteAddress, destination), destination);
    destination.clients += 1;
    this.#context.connections.onConnectionOpened();
  }

  #add(connection: ServerConnection): void {
    if (this.#stopping) connection.finish();
    this.#connections.add(connection);
  }

  #serve(client: AcceptedSocket, facts: ConnectionFacts, destination: Destination): void {
    const { tls } = this.#context;
    const protocol = destination.address.protocol?.() ?? 'http';
    if (tls?.mode === 'strict') {
      this.#add(new TlsConnection(client, facts, this.#tlsHost(tls, protocol, destination)));
      return;
    }
    const plain = this.#servePlain(client, facts, destination, protocol);
    if (tls === undefined) return;
    detectTls(client, () => {
      if (!plain.release()) return false;
      this.onChanged(plain, new TlsConnection(client, facts, this.#tlsHost(tls, protocol, destination)));
      return true;
    });
  }

  /** Serves what is not TLS, or no longer. */
  #servePlain(client: AcceptedSocket, facts: ConnectionFacts, destination: Destination, protocol: PortProtocol): PlainConnection {
    if (protocol === 'http') return this.#serveHttp(client, facts, destination);
    const connection =
      protocol === 'tcp' ? new TcpConnection(client, facts, destination) : new UndecidedConnection(client, facts, destination);
    this.#add(connection);
    return connection;
  }

  #tlsHost(termination: TlsTermination, protocol: PortProtocol, destination: Destination): TlsHost {
    return {
      clock: this.#context.clock,
      termination,
      terminatesAll: protocol === 'http',
      protocols: protocol === 'tcp' ? [] : HTTP_PROTOCOLS,
      onPlain: (connection, isTls) => {
        this.#connections.delete(connection);
        this.#servePlain(connection.client, connection.facts, destination, isTls ? 'tcp' : protocol);
      },
      onSecured: (connection, { client, facts, protocol: agreed }) => {
        this.#connections.delete(connection);
        if (agreed === undefined) this.#servePlain(client, facts, destination, protocol);
        else this.#serveHttp(client, facts, destination, agreed);
      },
      onConnectionClosed: (connection, reason) => this.onConnectionClosed(connection, reason, destination),
    };
  }

  /** @param agreed what the client speaks by ALPN; absent: its first bytes say so */
  #serveHttp(client: AcceptedSocket, facts: ConnectionFacts, destination: Destination, agreed?: string): Http1ServerConnection {
    const connection = new Http1ServerConnection(client, facts, destination);
    this.#add(connection);
    if (agreed === HTTP1) return connection;
    detectHttp2(client, {
      http1: connection,
      onPrefaceBegun: () => connection.setDeadline(destination.timeouts.headTimeoutMs),
      onPreface: () => {
        connection.release();
        const switched = new Http2ServerConnection(client, facts, destination.http2);
        this.onChanged(connection, switched);
        return switched;
      },
      ...(agreed === HTTP2 && { onNoPreface: () => connection.destroy('refused') }),
    });
    return connection;
  }
}

/** Names of HTTP/1.1 and HTTP/2 in ALPN. */
const HTTP1 = 'http/1.1';
const HTTP2 = 'h2';
const HTTP_PROTOCOLS = [HTTP2, HTTP1];

function destinationsOf({ destination }: ListenerOptions, context: ListenerContext, owner: DestinationOwner): Destinations {
  return 'reader' in destination
    ? new OriginalDestinations(destination, context, owner)
    : new FixedDestination(destination, context, owner);
}

function factsOf(socket: Socket, remoteAddress: string, { address }: Destination): ConnectionFacts {
  return {
    sourceIp: plainAddress(remoteAddress),
    destinationIp: address.destinationIp ?? plainAddress(socket.localAddress ?? ''),
    destinationPort: address.destinationPort,
    sni: '',
    tls: false,
  };
}
