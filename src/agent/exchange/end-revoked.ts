/*
 * How a stream ends that is not allowed any longer, by what its client can understand.
 */
import type { HeaderList } from '../../http/header-list.ts';
import type { LocalReply } from '../../http/local-reply.ts';
import type { RevocationReason } from '../context.ts';
import type { ExchangeState } from './exchange-state.ts';
import type { CloseStatus } from './web-socket-frames.ts';

const POLICY_VIOLATION = 1008;

/** The close frame of a WebSocket. */
export function closeStatusOf(reason: RevocationReason): CloseStatus {
  const text = reason === 'token-expired' ? 'token expired' : reason === 'token-refused' ? 'token refused' : 'access denied';
  return { code: POLICY_VIOLATION, reason: text };
}

/**
 * The trailers that end the response of a gRPC call.
 * @param reply in the form of gRPC
 * @returns undefined: the response cannot end with trailers
 */
export function trailersOf({ request, verdict, isOpenEnded }: ExchangeState, reply: LocalReply): HeaderList | undefined {
  if (request.version !== '2' || verdict?.isGrpc !== true || !isOpenEnded) return undefined;
  const trailers: string[] = [];
  for (let at = 0; at + 1 < reply.headers.length; at += 2) {
    const name = reply.headers[at] as string;
    if (name.startsWith('grpc-')) trailers.push(name, reply.headers[at + 1] as string);
  }
  return trailers;
}
