/*
 * State that the filters share: for the life of the chain, and for one request on its way through it.
 */
import { changeHeaders, type HeaderChange } from '../http/header-changes.ts';
import type { ForwardHead, RawRequest } from '../http/heads.ts';
import { completeReply, type LocalReply } from '../http/local-reply.ts';
import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import type { Authenticator } from '../jwt/authenticator.ts';
import { encodeQuery } from '../jwt/query.ts';
import type { Evaluator, NearMiss, NearMisses } from '../policy/decide/decision.ts';
import { type ConnectionFacts, type PeerIdentity, peerLog, type RequestFacts } from '../policy/facts.ts';
import type { Program } from '../policy/model/program.ts';
import { pathOf } from './request-facts.ts';
import type { RouterHeaderRemoval, SendTest } from './unsendable.ts';
import type { FinalVerdictLog, ReplyVerdict, VerdictLog } from './verdict.ts';

/** Decides whether the near miss of a request is worth its cost, and finds it; `second`: whole Unix seconds. Must not throw. */
export type MissNaming = (misses: NearMisses, facts: RequestFacts, second: number) => NearMiss | undefined;

/** The compiled parts of one chain. */
export interface FilterContext {
  readonly program: Program;
  /** Is the TCP peer a proxy whose X-Forwarded-Client-Cert counts? Undefined: no proxy is trusted. */
  readonly isTrustedProxy: ((address: string) => boolean) | undefined;
  readonly evaluator: Evaluator;
  readonly authenticator: Authenticator;
  /** Tokens that are not cached are verified by a `verify` verdict. */
  readonly defersVerification: boolean;
  /** Verdicts contain `expiresAt`. */
  readonly reportsExpiry: boolean;
  readonly unsendable: SendTest;
  /** Undefined: no filter can set a header of Envoy's router. */
  readonly removeRouterHeaders: RouterHeaderRemoval | undefined;
  readonly nameMiss: MissNaming | undefined;
  /** Undefined: pods are not identified. */
  readonly podIdentity: ((connection: ConnectionFacts) => PeerIdentity | undefined) | undefined;
  /** Names of this host's network interfaces. */
  readonly interfaces: ReadonlySet<string>;
  readonly onBug: (error: unknown) => void;
}

/** One request on its way through the chain. */
export interface RequestContext {
  readonly raw: RawRequest;
  /** Every filter edits this one copy. */
  readonly prepared: PreparedRequest;
  /** Whole Unix seconds. */
  readonly nowSeconds: number;
  /** Changes of the response that ext_authz servers requested. */
  readonly downstream: readonly HeaderChange[];
}

/** No changes of a response. */
export const NO_CHANGES: readonly HeaderChange[] = Object.freeze([]);

/** The verdict that ends `request` with `reply`, in the form that the client understands. */
export function deny({ raw, prepared, downstream }: RequestContext, reply: LocalReply, log: FinalVerdictLog): ReplyVerdict {
  const completed = completeReply(reply, {
    grpc: prepared.isGrpc,
    isHead: raw.method === 'HEAD',
    close: closes(raw) || prepared.upgrade !== '',
  });
  const headers = downstream.length === 0 ? completed.headers : changeHeaders(completed.headers, downstream);
  const { status, body, bytes, close, details } = completed;
  const verdict: ReplyVerdict = { kind: 'reply', status, body, headers, close, details, log };
  return bytes === undefined ? verdict : { ...verdict, bytes };
}

/** Log fields of a request that ended before rbac. */
export function logOf<Outcome extends VerdictLog['outcome']>(
  { prepared, raw }: RequestContext,
  outcome: Outcome,
  details: string,
): VerdictLog & { readonly outcome: Outcome } {
  const { host, target, remoteIp, isGrpc } = prepared;
  return { outcome, details, host, path: pathOf(target), principal: '', remoteIp, peer: peerLog(raw.connection), isGrpc };
}

/** The head that the upstream, and an ext_authz server, gets. */
export function forwardHead({ method, target, host, headers, upgrade, isRewritten }: PreparedRequest): ForwardHead {
  return { method, target: isRewritten ? encodeQuery(target) : target, host, headers, upgrade };
}

/** Must the connection close after a reply? Over HTTP/1 the body, or the bytes of a tunnel, of a refused request are not read. */
export function closes(raw: RawRequest): boolean {
  return raw.version !== '2' && (raw.hasBody || raw.method === 'CONNECT');
}
