/*
 * One way to ask authorizers: HTTP or gRPC. Implemented by `http-asker.ts` and `grpc-asker.ts`, used by the authorizer.
 */
import type { CheckResponse } from '../../filters/check-response.ts';
import type { Question } from './check-verdict.ts';

export interface Asker {
  /**
   * @param signal aborts when the deadline passes or the client is gone
   * @throws TransientError SP_AUTHORIZER when there is no usable answer; any other error says that the question itself cannot be put
   */
  ask(question: Question, signal: AbortSignal): Promise<CheckResponse>;
  /** Closes kept connections. */
  close(): void;
}
