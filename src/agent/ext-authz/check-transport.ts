/*
 * How checks reach ext_authz servers: over HTTP or gRPC.
 */
import type { CheckResponse } from '../../filters/check-response.ts';
import type { AnyCheck } from './check-request.ts';

/** Sends checks over one protocol; holds the connections to all servers of an agent. */
export interface CheckTransport {
  /**
   * @param signal aborts when the deadline passes or the client is gone
   * @throws TransientError SP_AUTHORIZER when there is no usable response; any other error says that the check cannot be sent at all
   */
  send(request: AnyCheck, signal: AbortSignal): Promise<CheckResponse>;
  /** Closes kept connections. */
  close(): void;
}
