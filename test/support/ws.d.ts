/*
 * What tests use of the package `ws`, which ships no types.
 */
declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage } from 'node:http';
  import type { AddressInfo } from 'node:net';

  export class WebSocket extends EventEmitter {
    readonly protocol: string;
    constructor(url: string, protocols?: readonly string[], options?: { readonly headers?: Readonly<Record<string, string>> });
    send(data: string | Buffer, callback?: () => void): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    pause(): void;
    resume(): void;
  }

  export class WebSocketServer extends EventEmitter {
    constructor(options: {
      readonly port: number;
      readonly host: string;
      readonly perMessageDeflate?: boolean;
      readonly maxPayload?: number;
    });
    on(event: 'connection', listener: (socket: WebSocket, request: IncomingMessage) => void): this;
    address(): AddressInfo;
    close(): void;
  }
}
