/*
 * The whole judgement of one request or connection under one program: preparation, CUSTOM, JWT, then AUDIT, DENY and
 * ALLOW. In: a program with its key sets, then raw requests. Out: verdicts. Made by the agent's intake for each bundle, by
 * the commands that explain, and by the conformance replay.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { identifyPeer, trustedProxyTest } from '../http/normalize/identify-peer.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import type { Rejection } from '../http/normalize/rejections.ts';
import { type Authentication, type Authenticator, createAuthenticator, type Refusal } from '../jwt/authenticator.ts';
import type { TokenCacheLimits } from '../jwt/token-cache.ts';
import type { CustomMatch, Evaluator } from '../policy/decide/decision.ts';
import { createEvaluator } from '../policy/decide/evaluator.ts';
import type { ConnectionFacts } from '../policy/facts.ts';
import type { Program } from '../policy/model/program.ts';
import { applyAnswer } from './apply-check-response.ts';
import { type ConnectionVerdict, evaluateConnection } from './evaluate-connection.ts';
import { changeHeaders, type HeaderChange } from './header-changes.ts';
import { createOutputTest, type OutputTest } from './output-headers.ts';
import { accessDenied, deniedDetails, isGrpc, type Reply, type ReplyContent, reply, unsendableDetails } from './reply.ts';
import { factsOf, pathOf } from './request-facts.ts';
import type { CheckAnswer, ForwardHead, RawRequest, RequestFilterChain, Verdict, VerdictLog } from './verdict.ts';

export interface FilterChainOptions {
  /** Limits of each JWT rule's cache of verified tokens. */
  readonly tokenCache?: TokenCacheLimits;
  /** Told of every exception inside: the request was denied, and this is a fault of the product. */
  readonly onBug?: (error: unknown) => void;
}

/** Judges requests and connections of one workload. */
export interface FilterChain extends RequestFilterChain {
  /** The verdict on a TCP connection, to be asked when the first bytes of the client arrive. Never throws. */
  evaluateConnection(connection: ConnectionFacts): ConnectionVerdict;
}

/** What the steps of one judgement share. */
interface FilterContext {
  readonly program: Program;
  /** Undefined: no proxy is trusted to say who the peer is. */
  readonly isTrustedProxy: ((address: string) => boolean) | undefined;
  readonly evaluator: Evaluator;
  readonly authenticator: Authenticator;
  readonly unsendable: OutputTest;
  readonly onBug: (error: unknown) => void;
}

/** One request on its way through the pipeline. */
interface RequestContext {
  readonly raw: RawRequest;
  readonly prepared: PreparedRequest;
  readonly nowSeconds: number;
  /** What authorizers that consented want changed of the client's response. */
  readonly downstream: readonly HeaderChange[];
}

const NO_HEADERS: readonly string[] = Object.freeze([]);
const NO_CHANGES: readonly HeaderChange[] = Object.freeze([]);
const BUG_DETAILS = 'internal_error';
const NOT_FOUND: ReplyContent = { status: 404, body: '', headers: NO_HEADERS };

/**
 * A judge for one program. Matchers are compiled and keys imported here, so that a request costs little; the result is
 * immutable but for its caches of verified tokens.
 * @param keySets the bundle's key sets; a JWT rule whose set is missing refuses every token
 */
export function createFilterChain(
  program: Program,
  keySets: Readonly<Record<string, KeySet>>,
  options: FilterChainOptions = {},
): FilterChain {
  const court: FilterContext = {
    program,
    isTrustedProxy: trustedProxyTest(program.trustedProxies),
    evaluator: createEvaluator(program),
    authenticator: createAuthenticator(program.providers, keySets, options.tokenCache === undefined ? {} : { cache: options.tokenCache }),
    unsendable: createOutputTest(program.providers),
    onBug: options.onBug ?? (() => {}),
  };
  return {
    evaluate: (raw, nowSeconds) => guarded(court, raw, () => begin(court, raw, nowSeconds)),
    evaluateConnection: (connection) => evaluateConnection(court.evaluator, connection, (step) => guardedConnection(court, step)),
  };
}

/** A bug denies; it must neither let a request through nor stop the agent. */
function guarded(court: FilterContext, raw: RawRequest, step: () => Verdict): Verdict {
  try {
    return step();
  } catch (error) {
    court.onBug(error);
    const log: VerdictLog = { outcome: 'deny', details: BUG_DETAILS, host: '', path: '', principal: '' };
    return reply(accessDenied, { grpc: false, isHead: isHead(raw), close: closes(raw) }, log);
  }
}

function guardedConnection(court: FilterContext, step: () => ConnectionVerdict): ConnectionVerdict {
  try {
    return step();
  } catch (error) {
    court.onBug(error);
    return { kind: 'deny', details: BUG_DETAILS };
  }
}

function begin(court: FilterContext, sent: RawRequest, nowSeconds: number): Verdict {
  const identified = court.isTrustedProxy === undefined ? undefined : identifyPeer(sent, court.isTrustedProxy);
  if (identified?.kind === 'reject') return reject(sent, identified);
  const raw = identified?.raw ?? sent;
  const preparation = prepareRequest(raw, court.program.pathNormalization);
  if (preparation.kind === 'reject') return reject(raw, preparation);
  const trial: RequestContext = { raw, prepared: preparation.prepared, nowSeconds, downstream: NO_CHANGES };
  return court.program.http.custom.length === 0 ? authenticate(court, trial) : consult(court, trial, 0);
}

function reject(raw: RawRequest, { status, body, close, details, plain }: Rejection): Reply {
  const outcome = status === 403 ? 'deny' : 'reject';
  const log: VerdictLog = { outcome, details, host: raw.authority ?? '', path: pathOf(raw.target), principal: '' };
  const form = { grpc: !plain && isGrpcHead(raw), isHead: isHead(raw), close: close || closes(raw) };
  return reply({ status, body, headers: NO_HEADERS }, form, log);
}

/**
 * CUSTOM from step `first` on: the first step that matches the request as it is by then. Authorizers are asked one after the
 * other, because each sees what the one before it changed; a step that cannot be asked denies what it matches.
 */
function consult(court: FilterContext, trial: RequestContext, first: number): Verdict {
  const { custom } = court.program.http;
  const match = first === custom.length ? undefined : matchFrom(court, trial, first);
  if (match === undefined) return authenticate(court, trial);
  if (match.step.provider === undefined) return deny(trial, accessDenied, logOf(trial, 'deny', deniedDetails(match.rule.id)));
  const next = custom.indexOf(match.step) + 1;
  return {
    kind: 'check',
    matches: [match],
    request: forwardHead(trial.prepared),
    scheme: trial.prepared.scheme,
    version: trial.raw.version,
    connection: trial.raw.connection,
    resume: (answer) => guarded(court, trial.raw, () => resume(trial, answer, (further) => consult(court, further, next))),
    log: logOf(trial, 'allow', ''),
  };
}

function matchFrom({ program, evaluator }: FilterContext, { prepared, raw }: RequestContext, first: number): CustomMatch | undefined {
  // Where no route leads, no authorizer is asked; steps that cannot be asked are plain denials.
  return evaluator
    .custom(factsOf(prepared, raw.connection), 'http')
    .find(({ step }) => program.http.custom.indexOf(step) >= first && (prepared.hasRoute || step.provider === undefined));
}

function resume(trial: RequestContext, answer: CheckAnswer, proceed: (trial: RequestContext) => Verdict): Verdict {
  switch (answer.kind) {
    case 'allow':
      applyAnswer(trial.prepared, answer);
      // Filters see a response in the opposite order, so that the last authorizer's changes come first.
      return proceed({ ...trial, downstream: [...(answer.downstreamHeaders ?? NO_CHANGES), ...trial.downstream] });
    case 'deny':
      return deny(trial, answer, logOf(trial, 'deny', answer.details ?? 'ext_authz_denied'));
    case 'error': {
      const content = { status: answer.status, body: '', headers: NO_HEADERS };
      return deny(trial, content, logOf(trial, 'deny', answer.details ?? 'ext_authz_error'));
    }
  }
}

function authenticate(court: FilterContext, trial: RequestContext): Verdict {
  const authentication = court.authenticator.authenticate(trial.prepared, trial.nowSeconds);
  return authentication.kind === 'refused' ? refuse(trial, authentication) : authorize(court, trial, authentication);
}

function refuse(trial: RequestContext, refusal: Refusal): Reply {
  const content = { status: refusal.status, body: refusal.fault, headers: ['www-authenticate', refusal.challenge] };
  const log = logOf(trial, refusal.status === 403 ? 'deny' : 'unauthenticated', refusal.details);
  return deny(trial, content, { ...log, jwtRule: refusal.rule });
}

function authorize(court: FilterContext, trial: RequestContext, authentication: Exclude<Authentication, Refusal>): Verdict {
  const { prepared } = trial;
  const token = authentication.kind === 'verified' ? authentication : undefined;
  const facts = factsOf(prepared, trial.raw.connection, token?.claims, token?.notes);
  const decision = court.evaluator.decide(facts, 'http');
  const log: VerdictLog = {
    outcome: decision.allowed ? 'allow' : 'deny',
    details: decision.allowed ? '' : deniedDetails(decision.rule?.id),
    host: facts.host,
    path: facts.path,
    principal: token?.principal ?? '',
    decision,
    ...(token === undefined ? {} : { jwtRule: token.provider.source }),
  };
  if (!decision.allowed) return deny(trial, accessDenied, log);
  if (!prepared.hasRoute) return deny(trial, NOT_FOUND, { ...log, outcome: 'reject', details: 'route_not_found' });
  const fault = court.unsendable(prepared.headers);
  if (fault !== undefined)
    return deny(trial, { status: 503, body: fault, headers: NO_HEADERS }, { ...log, outcome: 'reject', details: unsendableDetails(fault) });
  const { downstream } = trial;
  return { kind: 'forward', head: forwardHead(prepared), ...(downstream.length === 0 ? {} : { downstreamHeaders: downstream }), log };
}

function forwardHead({ method, target, host, headers, upgrade }: PreparedRequest): ForwardHead {
  return { method, target, host, headers, upgrade };
}

function deny(trial: RequestContext, content: ReplyContent, log: VerdictLog): Reply {
  const grpc = trial.prepared.method !== 'CONNECT' && isGrpc(trial.prepared.headers);
  const made = reply(content, { grpc, isHead: isHead(trial.raw), close: closes(trial.raw) }, log);
  return trial.downstream.length === 0 ? made : { ...made, headers: changeHeaders(made.headers, trial.downstream) };
}

function logOf({ prepared }: RequestContext, outcome: VerdictLog['outcome'], details: string): VerdictLog {
  return { outcome, details, host: prepared.host, path: pathOf(prepared.target), principal: '' };
}

/** Over HTTP/1 the body of a refused request is still on its way, and nobody will read it. */
function closes(raw: RawRequest): boolean {
  return raw.hasBody && raw.version !== '2';
}

function isHead({ method }: RawRequest): boolean {
  return method === 'HEAD';
}

function isGrpcHead(raw: RawRequest): boolean {
  return raw.method !== 'CONNECT' && isGrpc(raw.headers.map((part, index) => (index % 2 === 0 ? part.toLowerCase() : part)));
}
