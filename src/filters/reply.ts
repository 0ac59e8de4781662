/*
 * Replies that the judge makes itself: plain HTTP ones and, for gRPC requests, their trailers-only form. In: status,
 * body and extra headers. Out: a reply verdict. Used by every step of the pipeline that refuses.
 */
import { firstHeader } from '../jwt/token-request.ts';
import type { Verdict, VerdictLog } from './verdict.ts';

/** A verdict that ends the request. */
export type Reply = Extract<Verdict, { readonly kind: 'reply' }>;

/** What a refusing step says. */
export interface ReplyContent {
  readonly status: number;
  /** `''`: none, and then no content type either. */
  readonly body: string;
  /** The body where it is no UTF-8 text. */
  readonly octets?: Uint8Array;
  /** Flat list, lower-case names. */
  readonly headers: readonly string[];
}

/** How the reply is to be sent. */
export interface ReplyForm {
  readonly grpc: boolean;
  /** In answer to HEAD: a message of gRPC stands for a body, and is left out with it. */
  readonly isHead: boolean;
  readonly close: boolean;
}

/** What every denial by a policy says; it never tells which policy. */
export const accessDenied: ReplyContent = { status: 403, body: 'RBAC: access denied', headers: [] };

const BLANK = /\s/g;
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

/**
 * The reply verdict for `content`. A gRPC reply has status 200, no body, and says the rest in `grpc-status` and
 * `grpc-message`; extra headers are kept.
 * @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
 */
export function reply(content: ReplyContent, form: ReplyForm, log: VerdictLog): Reply {
  const headers = [...content.headers];
  if (form.grpc) {
    setHeader(headers, 'content-type', 'application/grpc');
    headers.push('grpc-status', String(GRPC_STATUS.get(content.status) ?? GRPC_UNKNOWN));
    if (content.body !== '' && !form.isHead) {
      headers.push('grpc-message', grpcMessage(content.body));
    }
    return { kind: 'reply', status: 200, body: '', headers, close: form.close, log };
  }
  if (content.body !== '' && firstHeader(headers, 'content-type') === undefined) {
    headers.push('content-type', 'text/plain');
  }
  const { status, body, octets } = content;
  return { kind: 'reply', status, body, ...(octets === undefined ? {} : { octets }), headers, close: form.close, log };
}

/**
 * Envoy's response code details of a denial by policy.
 * @param ruleId id of the rule that decided; absent: no ALLOW rule matched
 */
export function deniedDetails(ruleId: string | undefined): string {
  return `rbac_access_denied_matched_policy[${ruleId ?? 'none'}]`.replace(BLANK, '_');
}

/** Envoy's response code details of a request that filters left in a state that cannot be sent. @param fault as the body says it */
export function unsendableDetails(fault: string): string {
  return `filter_removed_required_request_headers{${fault}}`.replace(BLANK, '_');
}

function setHeader(headers: string[], name: string, value: string): void {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] === name) {
      headers[index + 1] = value;
      return;
    }
  }
  headers.push(name, value);
}

/** Is a request with these headers (flat, lower-case names) a gRPC call? Its content type alone says so. */
export function isGrpc(headers: readonly string[]): boolean {
  const type = firstHeader(headers, 'content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

/** `text` as gRPC writes messages: UTF-8 octets outside printable ASCII, and `%`, as `%HH`. */
export function grpcMessage(text: string): string {
  let encoded = '';
  for (const octet of Buffer.from(text, 'utf8')) {
    encoded +=
      octet < 0x20 || octet >= 0x7e || octet === 0x25
        ? `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(octet);
  }
  return encoded;
}
