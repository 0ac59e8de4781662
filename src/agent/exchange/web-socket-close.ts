/*
 * Ends a WebSocket from the middle: a close frame to both sides, as far as no frame is half sent.
 */
import type { ClientStream, ServerStream } from '../../http/stream.ts';
import { type CloseStatus, clientClose, serverClose, WebSocketFrames } from './web-socket-frames.ts';

/** The frames of one WebSocket. */
export class WebSocketClose {
  readonly fromClient: WebSocketFrames = new WebSocketFrames();
  readonly fromApplication: WebSocketFrames = new WebSocketFrames();

  /**
   * Sends the client `status`, and the application that its client goes away (1001). A side that waits for the rest of a frame is cut off
   * instead.
   */
  send(client: ServerStream, application: ClientStream, status: CloseStatus): void {
    if (this.fromApplication.canClose) {
      const frame = serverClose(status);
      client.sendData(frame, 0, frame.length);
      client.flush();
    } else client.close(true);
    if (!this.fromClient.canClose) {
      application.end();
      return;
    }
    const frame = clientClose(crypto.getRandomValues(Buffer.alloc(4)));
    application.sendData(frame, 0, frame.length);
    application.flush();
  }
}
