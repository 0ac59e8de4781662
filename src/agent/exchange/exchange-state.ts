/*
 * The exchange at hand, as it becomes the record for access log and metrics. One object per stream, reset for each request.
 */

import type { VerdictLog } from '../../filters/verdict.ts';
import { changeHeaders, type HeaderChange } from '../../http/header-changes.ts';
import { type HeaderList, NO_HEADERS } from '../../http/header-list.ts';
import type { ForwardHead, RawRequest } from '../../http/heads.ts';
import { completeReply, isGrpc, type LocalReply } from '../../http/local-reply.ts';
import { type BodyLength, type ResponseHead, type StreamRequest, UNKNOWN_LENGTH } from '../../http/stream.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { RevocationReason } from '../context.ts';
import type { ExchangeRecord } from './exchange-record.ts';
import type { Revocation } from './held-request.ts';

/** Stands for the request before one was read. */
const NO_REQUEST: StreamRequest = Object.freeze({
  version: '1.1',
  method: '',
  target: '',
  headers: NO_HEADERS,
  hasBody: false,
  body: 0,
  lengthGiven: false,
  clientRequestId: '',
  grpcTimeout: '',
});

/** Idempotent methods: without a body they may be sent again when a reused connection turns out dead (RFC 9110 section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

const NO_CHANGES: readonly HeaderChange[] = Object.freeze([]);

/** The exchange at hand of one stream. */
export class ExchangeState implements ExchangeRecord {
  request: StreamRequest = NO_REQUEST;
  status = 0;
  startMs = 0;
  evaluatedMs = 0;
  requestId = '';
  details = '';
  digest = '';
  verdict: VerdictLog | undefined;
  revoked: RevocationReason | undefined;
  /** The request has no body, or all of it was read. */
  requestEnded = true;
  /** The final head of a response is on its way to the client. */
  responseStarted = false;
  /** The response has begun without a length, so that trailers may end it anywhere. */
  isOpenEnded = false;
  /** Head to send again on a fresh connection when a reused one turns out dead; undefined: the request must not be repeated. */
  repeatable: ForwardHead | undefined;
  /** Changes to make to the headers of whatever answers the client. */
  downstream: readonly HeaderChange[] = NO_CHANGES;
  readonly #connection: ConnectionFacts;

  constructor(connection: ConnectionFacts) {
    this.#connection = connection;
  }

  get method(): string {
    return this.request.method;
  }

  get path(): string {
    return this.verdict?.path ?? this.request.target;
  }

  get protocol(): '1.0' | '1.1' | '2' {
    return this.request.version;
  }

  get headers(): HeaderList {
    return this.request.headers;
  }

  get sourceIp(): string {
    return this.#connection.sourceIp;
  }

  get destinationPort(): number {
    return this.#connection.destinationPort;
  }

  get tls(): ExchangeRecord['tls'] {
    const { tlsVersion: version, sni: serverName } = this.#connection;
    return version === undefined ? undefined : { version, serverName };
  }

  /** Takes the request that was read. @param newRequestId makes an id for a request without one */
  begin(request: StreamRequest, newRequestId: () => string): void {
    this.request = request;
    this.requestEnded = request.body === 0;
    this.requestId = request.clientRequestId === '' ? newRequestId() : request.clientRequestId;
  }

  /** The request as the filter chain takes it. */
  rawRequest(): RawRequest {
    const { version, method, target, headers, hasBody, authority, scheme } = this.request;
    const raw: RawRequest = { version, method, target, headers, hasBody, connection: this.#connection, requestId: this.requestId };
    if (version !== '2') return raw;
    return { ...raw, ...(authority !== undefined && { authority }), ...(scheme !== undefined && { scheme }) };
  }

  /**
   * Notes that `head` was sent. It may be sent again if the connection was `reused`, the method allows it and nothing else is sent.
   * Otherwise the headers are not needed any longer, however long the application takes.
   */
  forwarded(head: ForwardHead, reused: boolean): void {
    const { version, method, target, hasBody, body, lengthGiven, scheme } = this.request;
    if (reused && body === 0 && head.upgrade === '' && IDEMPOTENT.has(method)) this.repeatable = head;
    this.request = { version, method, target, headers: NO_HEADERS, hasBody, body, lengthGiven, clientRequestId: '', grpcTimeout: '' };
    if (scheme !== undefined) this.request = { ...this.request, scheme };
  }

  /** Notes that the final head of a response goes to the client. */
  startResponse(status: number, body: BodyLength = 0): void {
    this.responseStarted = true;
    this.isOpenEnded = body === UNKNOWN_LENGTH;
    this.repeatable = undefined;
    this.status = status;
  }

  /** Notes that the exchange ends because it is not allowed any longer. @returns the reply, in the form of gRPC for a gRPC call */
  revoke({ reason, reply, log, digest }: Revocation): LocalReply {
    const completed = log === undefined ? this.completeReply(reply) : reply;
    this.revoked = reason;
    this.details = reply.details;
    this.digest = digest;
    if (log !== undefined) this.verdict = log;
    else if (this.verdict !== undefined) {
      const { decision: _decision, jwtRule: _rule, ...known } = this.verdict;
      this.verdict = { ...known, outcome: 'none', details: reply.details };
    }
    return completed;
  }

  /** `head` with the changes that ext_authz servers asked for. */
  changedHead(head: ResponseHead): ResponseHead {
    return this.downstream.length === 0 ? head : { ...head, headers: changeHeaders(head.headers, this.downstream) };
  }

  /** The same for a reply. */
  changedReply(reply: LocalReply): LocalReply {
    return this.downstream.length === 0 ? reply : { ...reply, headers: changeHeaders(reply.headers, this.downstream) };
  }

  /** `reply` in the form of gRPC if the request is a gRPC call. */
  completeReply(reply: LocalReply): LocalReply {
    const { request, verdict } = this;
    const grpc = verdict === undefined ? request.version === '2' && isGrpc(request.headers) : verdict.isGrpc;
    return grpc ? completeReply(reply, { grpc, isHead: request.method === 'HEAD', close: false }) : reply;
  }

  /** Forgets the exchange. */
  reset(): void {
    this.request = NO_REQUEST;
    this.requestEnded = true;
    this.status = 0;
    this.startMs = 0;
    this.evaluatedMs = 0;
    this.requestId = '';
    this.details = '';
    this.digest = '';
    this.verdict = undefined;
    this.revoked = undefined;
    this.responseStarted = false;
    this.isOpenEnded = false;
    this.repeatable = undefined;
    this.downstream = NO_CHANGES;
  }
}
