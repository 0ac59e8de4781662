/*
 * The upgrade that a request asks for, from the request to the end of both directions.
 */
import type { ClientStream, ServerStream } from '../../http/stream.ts';
import type { RevocationReason } from '../context.ts';
import { closeStatusOf } from './end-revoked.ts';
import { WebSocketClose } from './web-socket-close.ts';
import type { CloseStatus } from './web-socket-frames.ts';

/** none: no upgrade; asked: the response decides; switched: bytes both ways; closing: the agent has ended both, the rest is dropped. */
type Phase = 'none' | 'asked' | 'switched' | 'closing';

/** The upgrade of the exchange at hand; one object for all exchanges of a stream. */
export class Upgrade {
  /** The application has ended its side of the switched protocol. */
  applicationEnded = false;
  #phase: Phase = 'none';
  #protocol = '';
  #webSocket: WebSocketClose | undefined;

  /** What follows the head of the request is not a body. */
  get isAsked(): boolean {
    return this.#phase !== 'none';
  }

  /** The response has accepted the upgrade. */
  get isSwitched(): boolean {
    return this.#phase === 'switched' || this.#phase === 'closing';
  }

  /** The agent has ended both directions. */
  get isClosing(): boolean {
    return this.#phase === 'closing';
  }

  ask(protocol: string): void {
    this.#phase = 'asked';
    this.#protocol = protocol;
  }

  /** The response accepts it. @returns the protocol */
  accept(): string {
    this.#phase = 'switched';
    if (this.#protocol.toLowerCase() === 'websocket') this.#webSocket = new WebSocketClose();
    return this.#protocol;
  }

  /** The response refuses it, or the exchange is over. */
  reset(): void {
    this.#phase = 'none';
    this.#webSocket = undefined;
    this.applicationEnded = false;
  }

  /** Follows bytes of the client. @returns false: they are to be dropped */
  readClient(buffer: Buffer, start: number, end: number): boolean {
    this.#webSocket?.fromClient.read(buffer, start, end);
    return this.#phase !== 'closing';
  }

  /** Follows bytes of the application. @returns false: they are to be dropped */
  readApplication(buffer: Buffer, start: number, end: number): boolean {
    this.#webSocket?.fromApplication.read(buffer, start, end);
    return this.#phase !== 'closing';
  }

  /** Ends both directions, as far as the protocol can say why. */
  close(client: ServerStream, application: ClientStream, status: CloseStatus): void {
    if (this.#phase !== 'switched') return;
    this.#phase = 'closing';
    if (this.#webSocket === undefined) client.close();
    else this.#webSocket.send(client, application, status);
  }

  /** The same for a stream that is not allowed any longer: both sides have a moment to answer, and nothing else is passed on. */
  revoke(client: ServerStream, application: ClientStream | undefined, reason: RevocationReason): void {
    if (application === undefined) client.close();
    else {
      this.close(client, application, closeStatusOf(reason));
      application.end();
      client.end();
    }
  }
}
