/*
 * A reply that the agent makes itself instead of forwarding the request: by a codec, a filter, an ext_authz server's decision
 * or a failed upstream. One shape for all, in plain HTTP or as the trailers-only response of gRPC.
 */
import { firstHeader, type HeaderList, NO_HEADERS, replaceHeader } from './header-list.ts';

/** A response that ends the request. */
export interface LocalReply {
  readonly kind: 'reply';
  readonly status: number;
  /** `''`: no body. */
  readonly body: string;
  /** The body's bytes where they are not UTF-8; `body` then only resembles them. */
  readonly bytes?: Uint8Array;
  /** In wire order, lower-case names; without Content-Length, Date, Server and Connection, which the codec writes. */
  readonly headers: HeaderList;
  /** Close the connection after the reply. */
  readonly close: boolean;
  /** Envoy's response code details, e.g. `missing_host_header`. */
  readonly details: string;
  /** The HTTP/1 codec makes it, which does not look at the content type: plain even when the request is a gRPC call. */
  readonly plain?: true;
}

const TEXT_PLAIN: HeaderList = Object.freeze(['content-type', 'text/plain']);

/** A reply with a text body; without a body it has no content type either. */
export function textReply(status: number, body: string, details: string, close = false): LocalReply {
  return Object.freeze({ kind: 'reply', status, body, headers: body === '' ? NO_HEADERS : TEXT_PLAIN, close, details });
}

/** A reply of the HTTP/1 codec: always plain, and the connection closes after it. */
export function codecReply(status: number, body: string, details: string): LocalReply {
  return Object.freeze({ ...textReply(status, body, details, true), plain: true });
}

/** A trailers-only response of gRPC. @param message `''`: none */
export function grpcReply(grpcStatus: number, message: string, details: string): LocalReply {
  const headers = ['content-type', 'application/grpc', 'grpc-status', String(grpcStatus)];
  if (message !== '') headers.push('grpc-message', grpcMessage(message));
  return { kind: 'reply', status: 200, body: '', headers, close: false, details };
}

/** Properties of the request that decide how a reply is sent. */
export interface ReplyForm {
  /** The request is a gRPC call. */
  readonly grpc: boolean;
  /** The method is HEAD: `grpc-message` stands for a body and is left out with it. */
  readonly isHead: boolean;
  /** Close the connection even if the reply does not ask for it. */
  readonly close: boolean;
}

/**
 * Completes `reply` for the request it ends. A gRPC reply has status 200 and no body; `grpc-status` and `grpc-message` carry
 * the rest, and other headers are kept. A plain reply with a body gets a content type.
 * @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
 */
export function completeReply({ status, body, bytes, headers: own, close, details, plain }: LocalReply, form: ReplyForm): LocalReply {
  const closes = close || form.close;
  if (form.grpc && plain !== true) {
    const headers = [...own];
    replaceHeader(headers, 'content-type', 'application/grpc');
    headers.push('grpc-status', String(GRPC_STATUS.get(status) ?? GRPC_UNKNOWN));
    if (body !== '' && !form.isHead) headers.push('grpc-message', grpcMessage(body));
    return { kind: 'reply', status: 200, body: '', headers, close: closes, details };
  }
  const headers = body === '' ? own : withContentType(own);
  const completed: LocalReply = { kind: 'reply', status, body, headers, close: closes, details };
  return bytes === undefined ? completed : { ...completed, bytes };
}

function withContentType(headers: HeaderList): HeaderList {
  if (headers.length === 0) return TEXT_PLAIN;
  return firstHeader(headers, 'content-type') === undefined ? [...headers, ...TEXT_PLAIN] : headers;
}

const GRPC_UNKNOWN = 2;
const GRPC_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);

/** Is a request with these headers (lower-case names) a gRPC call? Decided by its content type alone. */
export function isGrpc(headers: HeaderList): boolean {
  const type = firstHeader(headers, 'content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

/** `message` in gRPC's encoding: UTF-8 bytes outside printable ASCII, and `%`, as `%HH`. */
export function grpcMessage(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    encoded +=
      byte < 0x20 || byte >= 0x7e || byte === 0x25 ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : String.fromCharCode(byte);
  }
  return encoded;
}
