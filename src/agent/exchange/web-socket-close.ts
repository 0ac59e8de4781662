/*
 * Ends a WebSocket from the middle: a close frame to both sides, as far as no frame is half sent.
 */
import type { ClientStream, ServerStream } from '../../http/stream.ts';
import { clientClose, SERVER_CLOSE, WebSocketFrames } from './web-socket-frames.ts';

/** The frames of one WebSocket. */
export class WebSocketClose {
  readonly fromClient: WebSocketFrames = new WebSocketFrames();
  readonly fromApplication: WebSocketFrames = new WebSocketFrames();

  /** Sends both sides that the agent goes away (1001). A side that waits for the rest of a frame is cut off instead. */
  send(client: ServerStream, application: ClientStream): void {
    if (this.fromApplication.canClose) {
      client.sendData(SERVER_CLOSE, 0, SERVER_CLOSE.length);
      client.flush();
    } else client.close();
    if (!this.fromClient.canClose) {
      application.end();
      return;
    }
    const frame = clientClose(crypto.getRandomValues(Buffer.alloc(4)));
    application.sendData(frame, 0, frame.length);
    application.flush();
  }
}
