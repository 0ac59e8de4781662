/*
 * A client connection whose protocol is not known: its first bytes say whether it is HTTP. A client that is silent may wait for a server that
 * speaks first: then the application is connected, if the TCP rules allow that, and its first byte makes it a TCP connection.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { startTimer } from '../../limits/timers.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { PausedInput } from '../net/paused-input.ts';
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';
import { denialOf, evaluateIdentified } from '../tcp/connection-check.ts';
import type { TcpHost } from '../tcp/tcp-host.ts';
import { DROPPED, TcpUpstream, type TcpUpstreamReceiver } from '../tcp/tcp-upstream.ts';
import { detectProtocol } from './detect-protocol.ts';

const MAX_BYTES = LIMITS.detectedBytes.value;
const UNDECIDED_SILENCE_MS = LIMITS.undecidedSilence.value;
/** How the response of an HTTP server begins that has not got a request in time. */
const HTTP_RESPONSE = Buffer.from('HTTP/');

/** What the listener does with an undecided connection. */
export interface UndecidedOwner extends TcpHost {
  /** It is HTTP: a codec takes the socket over. */
  onHttp(connection: UndecidedConnection): void;
  /** It is not HTTP. @param upstream open already, when the client was silent @returns what takes both sockets over */
  onTcp(connection: UndecidedConnection, upstream: TcpUpstream | undefined): TcpUpstreamReceiver;
  /** The connection ended undecided. */
  onUndecidedClosed(connection: UndecidedConnection, reason: CloseReason): void;
}

/** Reads the first bytes of a client; the listener sweeps its deadline. */
export class UndecidedConnection implements SocketEvents, TcpUpstreamReceiver {
  readonly isPassing = false;
  readonly facts: ConnectionFacts;
  readonly client: AcceptedSocket;
  readonly #owner: UndecidedOwner;
  readonly #socket: Socket;
  readonly #input: PausedInput;
  #upstream: TcpUpstream | undefined;
  #stopTimer: (() => void) | undefined;
  #deadlineMs: number;
  /** The client is silent, and the TCP rules deny it. */
  #isDenied = false;
  readonly #startMs: number;
  #reason: CloseReason | undefined;

  constructor(client: AcceptedSocket, facts: ConnectionFacts, owner: UndecidedOwner) {
    const { clock, timeouts } = owner;
    this.client = client;
    this.facts = facts;
    this.#owner = owner;
    this.#startMs = clock.nowMs();
    this.#deadlineMs = this.#startMs + timeouts.idleTimeoutMs;
    this.#socket = client.attach(this);
    this.#input = new PausedInput(this.#socket);
    this.#stopTimer = startTimer(LIMITS.firstByteTime, () => this.#onSilence());
  }

  /** The agent stops; the client may still begin a request. */
  finish(): void {}

  /** TLS takes the socket over; the client has sent nothing before. @returns true: it can */
  release(): boolean {
    this.#stopTimer?.();
    this.#input.close();
    this.#dropUpstream();
    return true;
  }

  /** The agent has stopped. */
  shutDown(): void {
    this.destroy('shutdown');
  }

  /** Drops the connection. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  /** Ends what has passed its deadline. */
  sweep(nowMs: number): void {
    if (this.#upstream?.isLate(nowMs)) this.#dropUpstream();
    if (this.#deadlineMs > nowMs) return;
    // A request line that is not complete: the codec says so.
    if (this.#input.isHolding) this.#becomeHttp();
    else if (this.#isDenied) this.#onDeniedSilence();
    else this.destroy('idle');
  }

  onBytes(buffer: Buffer, length: number): void {
    this.#stopTimer?.();
    const isFirst = !this.#input.isHolding;
    this.#isDenied = false;
    if (!isFirst && !this.#input.collect(buffer, 0, length)) {
      this.destroy('overload');
      return;
    }
    const protocol = detectProtocol(isFirst ? buffer.subarray(0, length) : this.#input.kept, MAX_BYTES);
    if (protocol === 'more') {
      if (isFirst && !this.#input.collect(buffer, 0, length)) this.destroy('overload');
      else if (isFirst) this.#deadlineMs = this.#owner.clock.nowMs() + this.#owner.timeouts.headTimeoutMs;
      return;
    }
    if (protocol === 'http') this.#becomeHttp();
    else this.#becomeTcp();
    if (isFirst) this.client.deliver(buffer, length);
  }

  /** A request needs more than what has come; a TCP client may have nothing to say. */
  onEnd(): void {
    if (this.#input.isHolding) this.#becomeHttp();
    else this.#becomeTcp();
    this.client.deliverEnd();
  }

  onDrain(): void {}

  onClose(): void {
    this.#stopTimer?.();
    this.#input.close();
    this.#dropUpstream();
    this.#owner.onUndecidedClosed(this, this.#reason ?? 'client');
  }

  onUpstreamBytes(buffer: Buffer, length: number): void {
    const compared = Math.min(length, HTTP_RESPONSE.length);
    // An HTTP server that gives up waiting: what the client sends next would still be a request.
    if (HTTP_RESPONSE.compare(buffer, 0, compared, 0, compared) === 0) this.#dropUpstream();
    else this.#becomeTcp().onUpstreamBytes(buffer, length);
  }

  onUpstreamEnd(): void {
    this.destroy('upstream');
  }

  onUpstreamDrain(): void {}

  /** Nothing is known yet: a request gets its own connection to the application. */
  onUpstreamClosed(): void {
    this.#upstream = undefined;
  }

  #onSilence(): void {
    if (evaluateIdentified(this.#owner.activePolicy(), this.facts)?.verdict.kind === 'allow') this.#connect();
    else {
      this.#isDenied = true;
      this.#deadlineMs = this.#owner.clock.nowMs() + UNDECIDED_SILENCE_MS;
    }
  }

  #connect(): void {
    const { application, clock, timeouts } = this.#owner;
    this.#upstream = new TcpUpstream(application, this, clock.nowMs() + timeouts.connectTimeoutMs);
  }

  /** The client of a server that speaks first would wait indefinitely. It is a TCP connection, of which nothing was passed on. */
  #onDeniedSilence(): void {
    const policy = this.#owner.activePolicy();
    const evaluated = evaluateIdentified(policy, this.facts);
    if (evaluated?.verdict.kind === 'allow') {
      this.#isDenied = false;
      this.#deadlineMs = this.#owner.clock.nowMs() + this.#owner.timeouts.idleTimeoutMs;
      this.#connect();
      return;
    }
    const refusal =
      policy === undefined || evaluated === undefined
        ? ({ outcome: 'closed', details: this.#owner.replyWithoutPolicy().details, digest: '' } as const)
        : ({ outcome: 'deny', digest: policy.digest, ...denialOf(evaluated.verdict) } as const);
    this.#owner.tcpObserver.onTcpConnection({
      ...refusal,
      facts: evaluated?.identified ?? this.facts,
      startMs: this.#startMs,
      received: 0,
      sent: 0,
    });
    this.destroy('refused');
  }

  #dropUpstream(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (upstream === undefined) return;
    upstream.receiver = DROPPED;
    upstream.reset();
  }

  #becomeHttp(): void {
    this.#dropUpstream();
    const rest = this.#handOver();
    this.#owner.onHttp(this);
    if (rest !== undefined) this.client.deliver(rest, rest.length);
  }

  #becomeTcp(): TcpUpstreamReceiver {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    const rest = this.#handOver();
    const connection = this.#owner.onTcp(this, upstream);
    if (rest !== undefined) this.client.deliver(rest, rest.length);
    return connection;
  }

  /** @returns what was kept */
  #handOver(): Buffer | undefined {
    this.#stopTimer?.();
    const rest = this.#input.release();
    this.#input.close();
    return rest;
  }
}
