/*
 * The exchange at hand of a client connection, as access log and metrics see it when it is over. In: set step by step by
 * the connection. Out: an {@link ExchangeRecord}. One object per connection, begun anew for each request.
 */

import type { VerdictLog } from '../../filters/verdict.ts';
import type { HeaderChange } from '../../http/header-changes.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { ConnectionFacts } from '../../policy/facts.ts';
import type { ExchangeRecord } from '../context.ts';
import type { RequestHead } from '../http1/request-head.ts';

/** Stands for the request before one was read. */
export const NO_REQUEST: RequestHead = Object.freeze({
  kind: 'request',
  method: '',
  target: '',
  headers: [],
  body: 0,
  lengthGiven: false,
  close: false,
  expectContinue: false,
  requestId: '',
});

const NO_CHANGES: readonly HeaderChange[] = Object.freeze([]);

export class Exchange implements ExchangeRecord {
  request: RequestHead = NO_REQUEST;
  status = 0;
  /** 0: no byte of a request is here yet. */
  startMs = 0;
  /** Monotonic milliseconds at the verdict; 0: none was reached. */
  judgedMs = 0;
  requestId = '';
  details = '';
  digest = '';
  verdict: VerdictLog | undefined;
  /** The final head of a response is on its way to the client. */
  responseBegun = false;
  /** Request text to be sent again on a fresh connection when a reused one turns out dead; `''`: may not be repeated. */
  repeatable = '';
  /** What is to be changed of the head that the client gets. */
  downstream: readonly HeaderChange[] = NO_CHANGES;
  #continued = false;
  readonly #facts: ConnectionFacts;

  constructor(facts: ConnectionFacts) {
    this.#facts = facts;
  }

  get method(): string {
    return this.request.method;
  }

  get path(): string {
    return this.verdict?.path ?? this.request.target;
  }

  get isHead(): boolean {
    return this.request.method === 'HEAD';
  }

  get sourceIp(): string {
    return this.#facts.sourceIp;
  }

  get destinationPort(): number {
    return this.#facts.destinationPort;
  }

  /** Takes the request that was read. @param newRequestId makes an id for one that brings none */
  begin(request: RequestHead, newRequestId: () => string): void {
    this.request = request;
    this.requestId = request.requestId === '' ? newRequestId() : request.requestId;
  }

  /** The request as the judge takes it. */
  raw(): RawRequest {
    const { method, target, headers, body, requestId } = this.request;
    const own = requestId === '' ? { requestId: this.requestId } : {};
    return { version: '1.1', method, target, headers, hasBody: body !== 0, connection: this.#facts, ...own };
  }

  /** Is the client to be told that it may send the body that it announced? True once. */
  takeContinue(): boolean {
    const due = this.request.expectContinue && !this.#continued;
    this.#continued = true;
    return due;
  }

  /** Notes that the final head of a response goes to the client. */
  answer(status: number): void {
    this.responseBegun = true;
    this.repeatable = '';
    this.status = status;
  }

  /** Forgets the exchange. */
  reset(): void {
    this.request = NO_REQUEST;
    this.status = 0;
    this.startMs = 0;
    this.judgedMs = 0;
    this.requestId = '';
    this.details = '';
    this.verdict = undefined;
    this.responseBegun = false;
    this.repeatable = '';
    this.downstream = NO_CHANGES;
    this.#continued = false;
  }
}
