/*
 * A client connection until TLS is established: reads the ClientHello, decides who it is for, and does the handshake.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../clock.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { BoundedSet } from '../../limits/containers.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { CloseReason } from '../http1/server-host.ts';
import { PausedInput } from '../net/paused-input.ts';
import { AcceptedSocket, type SocketEvents } from '../net/socket-events.ts';
import { type ClientHello, isTlsRecord, readClientHello } from './client-hello.ts';
import { nodeTls } from './node-tls.ts';
import type { HandshakeFailure } from './tls-observer.ts';
import { isForMesh, type TlsTermination } from './tls-termination.ts';
import { verifyPeer } from './verify-peer.ts';

const MAX_HELLO = LIMITS.clientHelloBytes.value;
const MAX_BYTES = LIMITS.handshakeBytes.value;
const DEADLINE_MS = LIMITS.handshakeTime.value;
const WRITE_BUFFER = LIMITS.clientWriteBuffer.value;

/** A connection whose peer is known. */
export interface SecuredConnection {
  /** Reads and writes plain text. */
  readonly client: AcceptedSocket;
  readonly facts: ConnectionFacts;
  /** What was agreed on with ALPN; undefined: nothing. */
  readonly protocol: string | undefined;
}

/** What a connection needs of its listener. */
export interface TlsHost {
  readonly clock: Clock;
  readonly termination: TlsTermination;
  /** All TLS is for the agent, because the application speaks none. */
  readonly terminatesAll: boolean;
  /** What the agent speaks on the port (ALPN), the preferred one first; empty: any protocol. */
  readonly protocols: readonly string[];
  /** The connection goes on as plain text, or as TLS that the agent passes through. */
  onPlain(connection: TlsConnection, isTls: boolean): void;
  onSecured(connection: TlsConnection, secured: SecuredConnection): void;
  /** Called once, when the socket is closed before either. */
  onConnectionClosed(connection: TlsConnection, reason: CloseReason): void;
}

/** Handshakes of the process that have begun and not ended. */
const HANDSHAKES = new BoundedSet<TlsConnection>(LIMITS.handshakes);

/** Reads a client that begins TLS; the listener sweeps its deadline. */
export class TlsConnection implements SocketEvents {
  readonly isPassing = false;
  readonly client: AcceptedSocket;
  readonly facts: ConnectionFacts;
  readonly #host: TlsHost;
  readonly #socket: Socket;
  readonly #input: PausedInput;
  readonly #startMs: number;
  readonly #deadlineMs: number;
  #hello: ClientHello = { sni: '', protocols: [] };
  #secure: TLSSocket | undefined;
  #reason: CloseReason | undefined;
  #failure: HandshakeFailure = 'client_left';

  constructor(client: AcceptedSocket, facts: ConnectionFacts, host: TlsHost) {
    this.client = client;
    this.facts = facts;
    this.#host = host;
    this.#startMs = host.clock.nowMs();
    this.#deadlineMs = this.#startMs + DEADLINE_MS;
    this.#socket = client.attach(this);
    this.#input = new PausedInput(this.#socket);
  }

  /** The agent stops; the client may still begin a request. */
  finish(): void {}

  /** The agent has stopped. */
  shutDown(): void {
    this.destroy('shutdown');
  }

  /** Drops the connection. */
  destroy(reason: CloseReason): void {
    this.#reason ??= reason;
    // Closes the socket below, too.
    (this.#secure ?? this.#socket).destroy();
  }

  /** Ends what has passed its deadline. */
  sweep(nowMs: number): void {
    if (this.#deadlineMs <= nowMs) this.#fail('timeout');
    else if (this.#socket.bytesRead > MAX_BYTES) this.#fail('too_large');
  }

  onBytes(buffer: Buffer, length: number): void {
    if (!this.#input.collect(buffer, 0, length)) {
      this.destroy('overload');
      return;
    }
    const { kept } = this.#input;
    const hello = isTlsRecord(kept) ? readClientHello(kept) : 'none';
    if (hello === 'more') {
      if (kept.length >= MAX_HELLO) this.#fail('hello_too_large');
    } else if (hello === 'none') this.#becomePlain(false);
    else this.#begin(hello);
  }

  onEnd(): void {
    this.destroy('handshake');
  }

  onDrain(): void {}

  onClose(): void {
    this.#input.close();
    this.#onClosed();
  }

  #begin(hello: ClientHello): void {
    this.#hello = hello;
    const { termination, terminatesAll } = this.#host;
    if (termination.mode === 'strict' || terminatesAll || isForMesh(hello)) this.#shakeHands();
    else this.#becomePlain(true);
  }

  #becomePlain(isTls: boolean): void {
    if (this.#host.termination.mode === 'strict') {
      this.#fail('plaintext');
      return;
    }
    const rest = this.#input.release();
    this.#input.close();
    this.#host.onPlain(this, isTls);
    if (rest !== undefined) this.client.deliver(rest, rest.length);
  }

  #shakeHands(): void {
    const { termination, protocols } = this.#host;
    const material = termination.certificates.current;
    if (material === undefined) {
      this.#fail('no_own_certificate');
      return;
    }
    if (HANDSHAKES.size >= LIMITS.handshakes.value) HANDSHAKES.oldest?.dropForOthers();
    HANDSHAKES.add(this);
    const bytes = this.#input.release() ?? Buffer.alloc(0);
    this.#input.close();
    const common = protocols.filter((protocol) => this.#hello.protocols.includes(protocol));
    const tls = nodeTls();
    const secure = new tls.TLSSocket(this.client.takeSocket(bytes), {
      isServer: true,
      secureContext: material.context,
      requestCert: true,
      rejectUnauthorized: true,
      // With none in common the client gets no answer to its list, as from Envoy, where Node.js would end the handshake.
      ...(common.length === 0 ? {} : { ALPNProtocols: common }),
      highWaterMark: WRITE_BUFFER,
    } as ConstructorParameters<typeof TLSSocket>[1]);
    this.#secure = secure;
    const onError = (error: Error): void => this.#onError(error);
    const onClose = (): void => this.#onClosed();
    // The socket is half open by itself.
    const onEnd = (): void => this.destroy('handshake');
    secure.on('_tlsError', (error: Error) => {
      if (!secure.destroyed) secure.destroy(error);
    });
    secure.on('error', onError);
    secure.on('close', onClose);
    secure.on('end', onEnd);
    secure.once('secure', () => {
      const secured = verifyPeer(secure, { sni: this.#hello.sni, trustDomains: termination.trustDomains, localUri: material.uri });
      if (typeof secured === 'string') {
        this.#fail(secured);
        return;
      }
      HANDSHAKES.delete(this);
      secure.off('error', onError);
      secure.off('close', onClose);
      secure.off('end', onEnd);
      termination.observer.onHandshake(secured.tlsVersion);
      const client = new AcceptedSocket(secure, true);
      const protocol = typeof secure.alpnProtocol === 'string' ? secure.alpnProtocol : undefined;
      this.#host.onSecured(this, { client, facts: { ...this.facts, ...secured }, protocol });
    });
  }

  /** Gives way to a handshake that has just begun. */
  dropForOthers(): void {
    HANDSHAKES.delete(this);
    LIMITS.handshakes.hit();
    this.#fail('too_many');
  }

  #onError(error: NodeJS.ErrnoException): void {
    if (this.#reason !== undefined) return;
    this.#failure = failureOf(error.code ?? '');
    this.#reason = 'handshake';
  }

  #fail(failure: HandshakeFailure): void {
    if (this.#reason !== undefined) return;
    this.#failure = failure;
    this.destroy('handshake');
  }

  #onClosed(): void {
    HANDSHAKES.delete(this);
    const reason = this.#reason ?? 'handshake';
    if (reason === 'handshake') this.#host.termination.observer.onHandshakeFailed(this.#failure, this.#knownFacts(), this.#startMs);
    this.#host.onConnectionClosed(this, reason);
  }

  /** The facts with the server name that the client asked for. */
  #knownFacts(): ConnectionFacts {
    return { ...this.facts, sni: this.#hello.sni };
  }
}

/** By the codes of OpenSSL's errors. */
function failureOf(code: string): HandshakeFailure {
  if (!code.startsWith('ERR_SSL_')) return 'client_left';
  if (code.includes('ALERT')) return 'alert';
  if (/PROTOCOL|VERSION/.test(code)) return 'version';
  if (/CIPHER|SUITABLE|GROUP|SIGNATURE_ALGORITHM/.test(code)) return 'cipher';
  return /DID_NOT_RETURN_A_CERTIFICATE/.test(code) ? 'no_certificate' : 'malformed';
}
