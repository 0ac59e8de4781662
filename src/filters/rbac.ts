/*
 * The rbac filter: AUDIT, DENY and ALLOW policies. It is the last filter, so it also checks that the request can be forwarded.
 */
import { textReply } from '../http/local-reply.ts';
import type { Authentication, AuthenticationFailure } from '../jwt/authenticator.ts';
import { refusedFrom } from '../jwt/check-claims.ts';
import type { VerifiedToken } from '../jwt/token-record.ts';
import { peerLog, type RequestFacts } from '../policy/facts.ts';
import { accessDenied, deniedDetails, unsendableDetails } from './details.ts';
import { deny, type FilterContext, forwardHead, type RequestContext } from './filter-context.ts';
import { factsOf } from './request-facts.ts';
import type { FinalVerdictLog, ForwardVerdict, Verdict } from './verdict.ts';

const ROUTE_NOT_FOUND = textReply(404, '', 'route_not_found');

/** The final verdict on a request with this identity. */
export function runRbac(
  filters: FilterContext,
  request: RequestContext,
  authentication: Exclude<Authentication, AuthenticationFailure>,
): Verdict {
  const { prepared, downstream } = request;
  const token = authentication.kind === 'verified' ? authentication : undefined;
  const facts = factsOf(prepared, request.raw.connection, token?.claims, token?.notes);
  const decision = filters.evaluator.decide(facts, 'http');
  const decided: FinalVerdictLog = {
    outcome: decision.allowed ? 'allow' : 'deny',
    details: decision.allowed ? '' : deniedDetails(decision.rule?.id),
    host: facts.host ?? '',
    path: facts.path,
    principal: token?.principal ?? '',
    remoteIp: facts.remoteIp,
    peer: peerLog(facts.connection),
    isGrpc: prepared.isGrpc,
    decision,
  };
  const log = token === undefined ? decided : { ...decided, jwtRule: token.provider.source };
  if (!decision.allowed) return denyDecided(filters, request, facts, log);
  if (!prepared.hasRoute) return deny(request, ROUTE_NOT_FOUND, { ...log, outcome: 'reject', details: ROUTE_NOT_FOUND.details });
  const fault = filters.unsendable(prepared);
  if (fault !== undefined) {
    const details = unsendableDetails(fault);
    return deny(request, textReply(503, fault, details), { ...log, outcome: 'reject', details });
  }
  filters.removeRouterHeaders?.(prepared);
  const head = forwardHead(prepared);
  const verdict: ForwardVerdict =
    downstream.length === 0 ? { kind: 'forward', head, log } : { kind: 'forward', head, downstreamHeaders: downstream, log };
  return filters.reportsExpiry && token !== undefined ? withExpiry(verdict, token) : verdict;
}

function withExpiry(verdict: ForwardVerdict, token: VerifiedToken): ForwardVerdict {
  return token.expires === 0 ? verdict : { ...verdict, expiresAt: refusedFrom(token) };
}

/** @param log of the denial */
function denyDecided(filters: FilterContext, request: RequestContext, facts: RequestFacts, log: FinalVerdictLog): Verdict {
  const isUnmatched = log.decision?.rule === undefined;
  const nearMiss = isUnmatched ? filters.nameMiss?.(filters.evaluator.nearMisses, facts, request.nowSeconds) : undefined;
  return deny(request, accessDenied(log.details), nearMiss === undefined ? log : { ...log, nearMiss });
}
