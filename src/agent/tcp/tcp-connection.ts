/*
 * One TCP connection of a client, passed through to the application under the TCP rules. The verdict is due with the client's first bytes, as in
 * Envoy: a TLS ClientHello among them names the server. Until then nothing of the client reaches the application; a server that speaks first is
 * connected when the client is silent, if the rules allow the connection as it is known then.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../limits/agent-limits.ts';
import { startTimer } from '../../limits/timers.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { ClientOutput } from '../net/client-output.ts';
import { MessageWriter } from '../net/message-writer.ts';
import { PausedInput } from '../net/paused-input.ts';
import { resetSocket } from '../net/reset-socket.ts';
import type { AcceptedSocket, SocketEvents } from '../net/socket-events.ts';
import { isTlsRecord, readClientHello } from '../tls/client-hello.ts';
import { EvaluatedConnection } from './evaluated-connection.ts';
import type { TcpHost } from './tcp-host.ts';
import { DROPPED, TcpUpstream, type TcpUpstreamReceiver } from './tcp-upstream.ts';

const MAX_HELLO = LIMITS.clientHelloBytes.value;
const DENIED_SILENCE_MS = LIMITS.deniedSilence.value;
const HELLO_TOO_LARGE = 'client_hello_too_large';
const UPSTREAM_FAILED = 'upstream_connection_failure';

/** first: no byte of the client was forwarded; check: an ext_authz server is asked; relay: the verdict allows it. */
type Phase = 'first' | 'check' | 'relay';

/** A TCP connection; the listener sweeps its deadlines. */
export class TcpConnection extends EvaluatedConnection implements SocketEvents, TcpUpstreamReceiver {
  readonly #client: Socket;
  readonly #input: PausedInput;
  readonly #out: MessageWriter;
  readonly #output: ClientOutput;
  readonly #startMs: number;
  #upstream: TcpUpstream | undefined;
  #upstreamClosed = false;
  #clientClosed = false;
  #clientEnded = false;
  #upstreamEnded = false;
  #phase: Phase = 'first';
  #stopTimer: (() => void) | undefined;
  /** Monotonic milliseconds after which `expire` is due. */
  #deadlineMs: number;
  #reason: CloseReason | undefined;
  #received = 0;
  #sent = 0;

  /** @param upstream a connection to the application that has sent its first bytes; absent: none is open */
  constructor(client: AcceptedSocket, facts: ConnectionFacts, host: TcpHost, upstream?: TcpUpstream) {
    super(facts, host);
    this.#startMs = host.clock.nowMs();
    this.#deadlineMs = this.#startMs + host.timeouts.idleTimeoutMs;
    this.#client = client.attach(this);
    this.#input = new PausedInput(this.#client);
    this.#out = new MessageWriter(this.#client);
    this.#output = new ClientOutput(this.#client, () => this.onDrain());
    this.#upstream = upstream;
    if (upstream === undefined) this.#stopTimer = startTimer(LIMITS.firstByteTime, () => this.#onSilence());
    else {
      upstream.receiver = this;
      // It was allowed as a silent client, maybe under an earlier policy, and may be recorded without another evaluation.
      const policy = host.activePolicy();
      if (policy !== undefined) this.identify(policy.filterChain);
      this.followPolicy(undefined);
    }
  }

  /** The agent stops; the connection may continue until `destroy`. */
  finish(): void {}

  /** TLS takes the socket over; the client has sent nothing before. @returns false: the application has, so it goes on as it is */
  release(): boolean {
    if (this.#sent > 0) return false;
    this.endEvaluation();
    this.#stopTimer?.();
    this.#input.close();
    this.#output.release();
    const upstream = this.#upstream;
    if (upstream !== undefined) upstream.receiver = DROPPED;
    upstream?.reset();
    return true;
  }

  /** The agent has stopped: no protocol is known in which to say so. */
  shutDown(): void {
    this.destroy('shutdown');
  }

  /** Drops the connection. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    this.#client.destroy();
    this.#upstream?.reset();
  }

  /** Ends what has passed its deadline. */
  sweep(nowMs: number): void {
    if (this.#output.isUnread(nowMs, this.host.timeouts.unreadTimeoutMs)) this.destroy('unread');
    else if (this.#upstream?.isLate(nowMs)) this.#failUpstream();
    else if (this.#deadlineMs <= nowMs) this.#expire();
  }

  onBytes(buffer: Buffer, length: number): void {
    if (this.#phase === 'first') this.#readFirst(buffer, length);
    else if (this.#phase === 'check') this.#keep(buffer, length);
    else if (!this.#input.isPaused) this.#forward(buffer, 0, length);
    else if (!this.#input.keep(buffer, 0, length)) this.destroy('overload');
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#phase === 'first') {
      // A ClientHello that is not complete.
      if (this.#input.isHolding) this.destroy('client');
      else if (!this.#decide()) return;
    }
    if (this.#phase === 'relay' && !this.#input.isHolding) this.#upstream?.end();
  }

  onDrain(): void {
    if (!this.#clientClosed && this.#output.update() && !this.#upstreamClosed) this.#upstream?.resume();
  }

  onClose(error: Error | undefined): void {
    this.#clientClosed = true;
    this.endEvaluation();
    this.#stopTimer?.();
    this.#input.close();
    this.#output.release();
    // An end is passed on as one; everything else resets the other side.
    if (!this.#upstreamClosed && (error !== undefined || !this.#clientEnded || !this.#upstreamEnded)) this.#upstream?.reset();
    this.#closeIfBoth();
  }

  onUpstreamBytes(buffer: Buffer, length: number): void {
    this.#touch();
    this.#sent += length;
    this.#out.writeBytes(buffer, 0, length);
    this.#out.flush();
    if (!this.#output.update()) this.#upstream?.pause();
  }

  onUpstreamEnd(): void {
    this.#upstreamEnded = true;
    this.#client.end();
  }

  onUpstreamDrain(): void {
    if (this.#clientClosed) return;
    const rest = this.#input.release();
    if (rest !== undefined) this.#forward(rest, 0, rest.length);
    if (this.#clientEnded && !this.#input.isHolding) this.#upstream?.end();
  }

  onUpstreamClosed(error: Error | undefined): void {
    this.#upstreamClosed = true;
    if (!this.#upstreamEnded && !this.#clientClosed) {
      this.#reason ??= 'upstream';
      if (this.#sent === 0) this.#fail(UPSTREAM_FAILED);
      resetSocket(this.#client);
    } else if (error !== undefined) this.#client.destroy();
    // What the application has sent is still to be read by the client; the application takes nothing more of it.
    else if (!this.#clientEnded) this.#client.destroySoon();
    this.#closeIfBoth();
  }

  #readFirst(buffer: Buffer, length: number): void {
    const isFirst = !this.#input.isHolding;
    // In a connection that the agent terminates, the name of the outer ClientHello counts, and TLS in it is opaque.
    if (isFirst && (this.facts.tls || !isTlsRecord(buffer.subarray(0, length)))) {
      if (this.#decide()) this.#forward(buffer, 0, length);
      else if (this.#isChecking) this.#keep(buffer, length);
      return;
    }
    if (isFirst) this.#deadlineMs = this.host.clock.nowMs() + this.host.timeouts.headTimeoutMs;
    if (!this.#input.collect(buffer, 0, length)) {
      this.destroy('overload');
      return;
    }
    this.#stopTimer?.();
    const hello = readClientHello(this.#input.kept);
    if (hello === 'more') {
      // Envoy closes a connection like this, too: without its name, a rule that denies the name would not match.
      if (this.#input.kept.length >= MAX_HELLO) this.refuse({ outcome: 'none', details: HELLO_TOO_LARGE, digest: '' });
      return;
    }
    this.serverName = hello === 'none' ? '' : hello.sni;
    if (this.#decide()) this.#forwardKept();
  }

  #keep(buffer: Buffer, length: number): void {
    if (!this.#input.keep(buffer, 0, length)) this.destroy('overload');
  }

  #forwardKept(): void {
    const rest = this.#input.release();
    if (rest !== undefined) this.#forward(rest, 0, rest.length);
  }

  get #isChecking(): boolean {
    return this.#phase === 'check';
  }

  /** The client has sent nothing: a server may have to speak first. One that is denied may still send a ClientHello that is allowed. */
  #onSilence(): void {
    const policy = this.host.activePolicy();
    if (policy !== undefined && this.verdictUnder(policy).kind === 'allow') {
      this.#connect();
      this.followPolicy(policy);
    } else this.#deadlineMs = this.host.clock.nowMs() + DENIED_SILENCE_MS;
  }

  #decide(mayCheck = true): boolean {
    this.#stopTimer?.();
    return this.evaluate(mayCheck);
  }

  protected onAllowed(): void {
    this.#phase = 'relay';
    this.#touch();
    if (this.#upstream === undefined) this.#connect();
  }

  protected onCheck(): void {
    this.#phase = 'check';
    this.#touch();
    this.#input.pause();
  }

  protected onChecked(): void {
    this.#forwardKept();
    if (this.#clientEnded && !this.#input.isHolding) this.#upstream?.end();
  }

  #connect(): void {
    const { clock, timeouts, application } = this.host;
    this.#upstream = new TcpUpstream(application, this, clock.nowMs() + timeouts.connectTimeoutMs);
  }

  #forward(buffer: Buffer, start: number, end: number): void {
    this.#touch();
    if (this.#upstreamClosed) return;
    this.#received += end - start;
    if (this.#upstream?.write(buffer, start, end) === false) this.#input.pause();
  }

  #touch(): void {
    this.#deadlineMs = this.host.clock.nowMs() + this.host.timeouts.idleTimeoutMs;
  }

  #expire(): void {
    if (this.#phase === 'first' && this.#input.isHolding) this.destroy('timeout');
    else if (this.#phase === 'relay' || this.#upstream !== undefined) this.destroy('idle');
    else if (this.#decide(false)) this.#phase = 'first';
  }

  #failUpstream(): void {
    this.#fail(UPSTREAM_FAILED);
    this.destroy('upstream');
  }

  #fail(details: string): void {
    this.verdict = { ...this.verdict, details };
  }

  #closeIfBoth(): void {
    if (!this.#clientClosed || (this.#upstream !== undefined && !this.#upstreamClosed)) return;
    const { facts, startMs, received, sent } = {
      facts: this.identified,
      startMs: this.#startMs,
      received: this.#received,
      sent: this.#sent,
    };
    this.host.tcpObserver.onTcpConnection({ ...this.verdict, facts, startMs, received, sent });
    this.host.onConnectionClosed(this, this.#reason ?? 'client');
  }
}
