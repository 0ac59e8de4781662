/*
 * What is kept of a request that was forwarded, to evaluate it again: its head, and what ext_authz servers said about it.
 */
import type { CheckResponse } from '../../filters/check-response.ts';
import type { CheckVerdict, ForwardVerdict, ReplyVerdict, Verdict, VerdictLog } from '../../filters/verdict.ts';
import type { RawRequest } from '../../http/heads.ts';
import { completeReply, type LocalReply, textReply } from '../../http/local-reply.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteBudget } from '../../limits/containers.ts';
import type { ActivePolicy, LiveStream, RevocationReason } from '../context.ts';
import type { ExchangeContext } from './exchange-context.ts';

/** Heads of live streams; of the whole process. */
const BUDGET = new ByteBudget(LIMITS.liveStreamBytes);
/** Estimated memory of a string besides its characters, and of a request besides its strings. */
const STRING_BYTES = 32;
const REQUEST_BYTES = 512;

const NOT_KEPT = textReply(503, 'the request cannot be evaluated again', 'stream_not_kept');
const NOT_ASKED = textReply(403, '', 'ext_authz_not_asked');

/** A stream is not allowed any longer. */
export interface Revocation {
  readonly reason: RevocationReason;
  /** For a client that has got no response. */
  readonly reply: LocalReply;
  /** The verdict; undefined: the request was not evaluated. */
  readonly log: VerdictLog | undefined;
  /** Digest of the bundle that decided; `''`: none did. */
  readonly digest: string;
}

/** The exchange of a request that is kept. */
export interface RevocableExchange {
  /** Ends the exchange. */
  onRevoked(revocation: Revocation): void;
}

/** A server's response, by which its provider was asked. */
interface Answer {
  readonly provider: string;
  readonly response: CheckResponse;
}

/** One request, from its first evaluation to its end. */
export class HeldRequest implements LiveStream {
  expiresAt = 0;
  readonly #context: ExchangeContext;
  readonly #exchange: RevocableExchange;
  #raw: RawRequest | undefined;
  /** The policy that evaluates it; undefined: it was forwarded. */
  #policy: ActivePolicy | undefined;
  #answers: Answer[] | undefined;
  #bytes = 0;

  constructor(raw: RawRequest, policy: ActivePolicy, context: ExchangeContext, exchange: RevocableExchange) {
    this.#raw = raw;
    this.#policy = policy;
    this.#context = context;
    this.#exchange = exchange;
  }

  /** A server was asked about it. */
  answered({ provider }: CheckVerdict, response: CheckResponse): void {
    (this.#answers ??= []).push({ provider: provider.name, response });
  }

  /** It is forwarded. @returns false: too many streams are open */
  begin({ expiresAt = 0 }: ForwardVerdict): boolean {
    this.expiresAt = expiresAt;
    const bytes = sizeOf(this.#raw, this.#answers ?? []);
    if (BUDGET.reserve(bytes)) this.#bytes = bytes;
    else {
      this.#raw = undefined;
      this.#answers = undefined;
    }
    const policy = this.#policy;
    this.#policy = undefined;
    return this.#context.liveStreams?.add(this, policy) === true;
  }

  /** It is over, or is not to be evaluated any longer. */
  end(): void {
    this.#context.liveStreams?.delete(this);
    BUDGET.release(this.#bytes);
    this.#bytes = 0;
  }

  reevaluate(policy: ActivePolicy | undefined): void {
    if (policy === undefined) this.#revoke('no-policy', this.#context.replyWithoutPolicy(), undefined, '');
    else if (this.#raw === undefined) this.#revoke('not-kept', NOT_KEPT, undefined, policy.digest);
    else this.#obey(this.#evaluate(this.#raw, policy), policy.digest);
  }

  #evaluate(raw: RawRequest, policy: ActivePolicy): Exclude<Verdict, { readonly kind: 'verify' }> {
    const nowSeconds = Math.floor(this.#context.clock.wallMs() / 1000);
    let verdict: Verdict = policy.filterChain.evaluate(raw, nowSeconds);
    for (;;) {
      if (verdict.kind === 'verify') verdict = verdict.resume(nowSeconds);
      else if (verdict.kind === 'check') {
        const { name } = verdict.provider;
        const answer = this.#answers?.find(({ provider }) => provider === name);
        if (answer === undefined) return verdict;
        verdict = verdict.resume(answer.response, nowSeconds);
      } else return verdict;
    }
  }

  #obey(verdict: Exclude<Verdict, { readonly kind: 'verify' }>, digest: string): void {
    if (verdict.kind === 'forward') this.expiresAt = verdict.expiresAt ?? 0;
    else if (verdict.kind === 'reply') this.#revoke(reasonOf(verdict), verdict, verdict.log, digest);
    else {
      const log: VerdictLog = { ...verdict.log, outcome: 'deny', details: NOT_ASKED.details, customRule: verdict.rule.source };
      const form = { grpc: verdict.log.isGrpc === true, isHead: verdict.request.method === 'HEAD', close: false };
      this.#revoke('ext-authz', completeReply(NOT_ASKED, form), log, digest);
    }
  }

  #revoke(reason: RevocationReason, reply: LocalReply, log: VerdictLog | undefined, digest: string): void {
    this.#exchange.onRevoked({ reason, reply, log, digest });
  }
}

function reasonOf({ log }: ReplyVerdict): RevocationReason {
  if (!log.details.startsWith('jwt_authn')) return 'denied';
  return log.details.includes('expired') ? 'token-expired' : 'token-refused';
}

function sizeOf(raw: RawRequest | undefined, answers: readonly Answer[]): number {
  if (raw === undefined) return 0;
  let bytes = REQUEST_BYTES + raw.target.length;
  for (const text of raw.headers) bytes += text.length + STRING_BYTES;
  for (const { response } of answers) {
    if (response.kind !== 'allow') continue;
    const { setHeaders, removeHeaders, appendHeaders = [], setQuery = [], removeQuery = [] } = response;
    for (const text of [...setHeaders, ...removeHeaders, ...appendHeaders, ...setQuery, ...removeQuery])
      bytes += text.length + STRING_BYTES;
  }
  return bytes;
}
