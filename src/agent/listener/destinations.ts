/*
 * Which destination a client connection has: always the same one, or the one that the client connected to before the redirect.
 */
import type { Socket } from 'node:net';
import { type LocalReply, textReply } from '../../http/local-reply.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedMap } from '../../limits/containers.ts';
import { plainAddress } from '../../plain-address.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { HostAddress } from '../net/host-addresses.ts';
import { Destination, type DestinationAddress, type DestinationContext, type DestinationOwner, type PortProtocol } from './destination.ts';
import type { OriginalDestination, ReaderOrProblem } from './original-destination.ts';
import { OwnAddresses } from './own-addresses.ts';

/** The destinations of one listener. */
export interface Destinations {
  /** The destination of an accepted connection; undefined: it must be refused, which was reported. */
  of(accepted: Socket): Destination | undefined;
  /** Closes connections to the application that have passed their deadline. */
  sweep(nowMs: number): void;
  /** Drops every connection to the application. */
  destroy(): void;
}

/** A single destination. */
export class FixedDestination implements Destinations {
  readonly #destination: Destination;

  constructor(address: DestinationAddress, context: DestinationContext, owner: DestinationOwner) {
    this.#destination = new Destination(address, context, owner);
  }

  of(): Destination {
    return this.#destination;
  }

  sweep(nowMs: number): void {
    this.#destination.sweep(nowMs);
  }

  destroy(): void {
    this.#destination.destroy();
  }
}

/** Settings of {@link OriginalDestinations}. */
export interface CaptureOptions {
  readonly reader: ReaderOrProblem;
  /** Ports of the agent: a connection to one of them would lead back to it. */
  readonly ownPorts: readonly number[];
  readonly logger: Logger;
  /** What a port speaks now. */
  readonly protocolOf: (port: number) => PortProtocol;
  /** A connection was refused. */
  readonly onRefused: () => void;
  /** Absent: the addresses of the network interfaces. */
  readonly hostAddresses?: () => readonly HostAddress[];
}

/** What requests get from an agent that cannot read original destinations. */
export const NO_DESTINATION: LocalReply = textReply(503, 'the agent cannot read the original destination', 'no_original_destination');

const LOG_INTERVAL_MS = LIMITS.refusedConnectionLog.value;

/**
 * The destinations that clients connected to. Only addresses of this pod count: a client that can send packets here could otherwise
 * reach what the agent reaches, such as ports that listen on the loopback address only.
 */
export class OriginalDestinations implements Destinations {
  readonly #options: CaptureOptions;
  readonly #context: DestinationContext;
  readonly #owner: DestinationOwner;
  readonly #own: OwnAddresses;
  readonly #known = new BoundedMap<string, Destination>(LIMITS.destinations);
  /** Serves 503 where the reader does not work; otherwise unused. */
  readonly #none: Destination;
  #nextLogMs = 0;
  #unlogged = 0;

  constructor(options: CaptureOptions, context: DestinationContext, owner: DestinationOwner) {
    this.#options = options;
    this.#context = context;
    this.#owner = owner;
    this.#own = new OwnAddresses(options.hostAddresses);
    const closed = { ...context, activePolicy: () => undefined, replyWithoutPolicy: () => NO_DESTINATION };
    const nowhere = {
      upstreamHost: '127.0.0.1',
      upstreamPort: 0,
      destinationIp: undefined,
      destinationPort: 0,
      protocol: () => 'detect' as const,
    };
    this.#none = new Destination(nowhere, closed, owner);
  }

  of(accepted: Socket): Destination | undefined {
    const { reader, ownPorts } = this.#options;
    if ('problem' in reader) return this.#none;
    const original = reader.read(accepted);
    if (original === undefined) return this.#refuse(accepted, original, 'the connection was not redirected to the agent');
    if (ownPorts.includes(original.port)) return this.#refuse(accepted, original, `port ${original.port} is the agent's own`);
    const host = this.#own.connectable(original.address, this.#context.clock.nowMs());
    if (host === undefined) return this.#refuse(accepted, original, `${original.address} is not an address of this pod`);
    const destination = this.#get(original, host);
    return destination ?? this.#refuse(accepted, original, 'connections to too many ports are open');
  }

  sweep(nowMs: number): void {
    for (const destination of this.#known.values()) {
      destination.sweep(nowMs);
      if (destination.isUnused) this.#known.delete(keyOf(destination.address.destinationIp, destination.address.destinationPort));
    }
  }

  destroy(): void {
    for (const destination of this.#known.values()) destination.destroy();
  }

  #get({ address, port }: OriginalDestination, upstreamHost: string): Destination | undefined {
    const key = keyOf(address, port);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= LIMITS.destinations.value && !this.#dropUnused()) {
      LIMITS.destinations.hit();
      return undefined;
    }
    const made = new Destination(
      {
        upstreamHost,
        upstreamPort: port,
        destinationIp: address,
        destinationPort: port,
        protocol: () => this.#options.protocolOf(port),
      },
      this.#context,
      this.#owner,
    );
    this.#known.set(key, made);
    return made;
  }

  #dropUnused(): boolean {
    for (const { address, isUnused } of this.#known.values()) {
      if (isUnused) return this.#known.delete(keyOf(address.destinationIp, address.destinationPort));
    }
    return false;
  }

  #refuse(accepted: Socket, original: OriginalDestination | undefined, reason: string): undefined {
    const { logger, onRefused } = this.#options;
    onRefused();
    this.#unlogged += 1;
    const nowMs = this.#context.clock.nowMs();
    if (nowMs < this.#nextLogMs) return undefined;
    this.#nextLogMs = nowMs + LOG_INTERVAL_MS;
    const clientAddress = plainAddress(accepted.remoteAddress ?? '');
    logger.warn({ clientAddress, ...original, connections: this.#unlogged, reason }, 'connection refused');
    this.#unlogged = 0;
    return undefined;
  }
}

function keyOf(address: string | undefined, port: number): string {
  return `${address ?? ''} ${port}`;
}
