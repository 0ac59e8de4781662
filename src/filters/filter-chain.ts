/*
 * Runs the filters of one workload on a request: peer identity and normalization, ext_authz, jwt_authn, rbac, in Envoy's
 * order. The agent builds one chain for each bundle; the commands that explain and the conformance replay build their own.
 */
import type { KeySet } from '../bundle/bundle.ts';
import type { RawRequest } from '../http/heads.ts';
import { completeReply, isGrpc, type LocalReply } from '../http/local-reply.ts';
import { copyHeaders } from '../http/normalize/copy-headers.ts';
import { identifyPeer, trustedProxyTest } from '../http/normalize/identify-peer.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import { LOOPBACK_ONLY } from '../http/normalize/remote-address.ts';
import { createAuthenticatorInSteps } from '../jwt/authenticator.ts';
import type { UnknownKeyListener } from '../jwt/known-tokens.ts';
import type { TokenCache } from '../jwt/token-cache.ts';
import { createEvaluatorInSteps } from '../policy/decide/evaluator.ts';
import type { ConnectionFacts, PeerIdentity } from '../policy/facts.ts';
import type { Program } from '../policy/model/program.ts';
import { doSteps, type Steps } from '../steps.ts';
import { accessDenied } from './details.ts';
import { type ConnectionVerdict, evaluateConnection } from './evaluate-connection.ts';
import { runExtAuthz } from './ext-authz.ts';
import { closes, type FilterContext, logOf, type MissNaming, NO_CHANGES, type RequestContext } from './filter-context.ts';
import { type AcceptedIdentity, runJwtAuthn, runJwtAuthnOnKnown } from './jwt-authn.ts';
import { runRbac } from './rbac.ts';
import { pathOf } from './request-facts.ts';
import { createRouterHeaderRemoval, createSendTest } from './unsendable.ts';
import type { ReplyVerdict, Verdict, VerifyVerdict } from './verdict.ts';

/** Settings of a filter chain. */
export interface FilterChainOptions {
  /** Where examined tokens are cached; default: a separate cache. */
  readonly tokenCache?: TokenCache;
  /** Return a `verify` verdict for a request whose token is not cached, instead of verifying it. Default: false. */
  readonly deferVerification?: boolean;
  /** Report with each request that is forwarded when its token expires. Default: false. */
  readonly reportExpiry?: boolean;
  /** Called before every verification of a signature. */
  readonly onVerification?: () => void;
  /** Called for a refused request with a token whose key is not in the key set of its rule. */
  readonly onUnknownKey?: UnknownKeyListener;
  /** The pod at the other end of a connection without a certificate; undefined: unknown. Absent: pods are not identified. */
  readonly podIdentity?: (connection: ConnectionFacts) => PeerIdentity | undefined;
  /** Finds, or leaves out, the near miss of a request that no ALLOW rule matched. Absent: none is looked for. */
  readonly nameMiss?: MissNaming;
  /** Called with every exception inside the chain. The request was denied; the exception is a bug in Sallyport. */
  readonly onBug?: (error: unknown) => void;
  /** Names of this host's network interfaces, which are valid zones in X-Forwarded-For. Absent: only `lo`. */
  readonly interfaces?: ReadonlySet<string>;
}

/** Evaluates the requests and connections of one workload under one program and its key sets. */
export interface FilterChain {
  /** @param nowSeconds whole Unix seconds. Never throws: a bug inside denies (403) and is reported to `onBug`. */
  evaluate(request: RawRequest, nowSeconds: number): Verdict;
  /** A TCP connection with the identity of its peer, as far as it is known now; to be called before each evaluation. */
  identify(connection: ConnectionFacts): ConnectionFacts;
  /** The verdict on a TCP connection; call it when the first bytes of the client arrive. Never throws. */
  evaluateConnection(connection: ConnectionFacts): ConnectionVerdict;
  /** Drops the cached tokens, for a chain that another one has replaced. It still evaluates, without a cache. */
  release(): void;
}

const BUG_DETAILS = 'internal_error';

/**
 * The filter chain of `program`. Matchers are compiled and keys imported here, so that a request costs little; the chain is
 * immutable except for its caches of verified tokens.
 * @param keySets the bundle's key sets; a JWT rule whose set is missing refuses every token
 */
export function createFilterChain(
  program: Program,
  keySets: Readonly<Record<string, KeySet>>,
  options: FilterChainOptions = {},
): FilterChain {
  return doSteps(createFilterChainInSteps(program, keySets, options));
}

/** The same in steps of a few milliseconds each, for a process that must not pause for longer. */
export function* createFilterChainInSteps(
  program: Program,
  keySets: Readonly<Record<string, KeySet>>,
  options: FilterChainOptions = {},
): Steps<FilterChain> {
  const evaluator = yield* createEvaluatorInSteps(program);
  const filters: FilterContext = {
    program,
    isTrustedProxy: trustedProxyTest(program.trustedProxies),
    evaluator,
    authenticator: yield* createAuthenticatorInSteps(program.providers, keySets, {
      ...(options.tokenCache !== undefined && { cache: options.tokenCache }),
      ...(options.onVerification !== undefined && { onVerification: options.onVerification }),
      ...(options.onUnknownKey !== undefined && { onUnknownKey: options.onUnknownKey }),
    }),
    defersVerification: options.deferVerification ?? false,
    reportsExpiry: options.reportExpiry ?? false,
    unsendable: createSendTest(program.providers),
    removeRouterHeaders: createRouterHeaderRemoval(program),
    nameMiss: options.nameMiss,
    podIdentity: options.podIdentity,
    interfaces: options.interfaces ?? LOOPBACK_ONLY,
    onBug: options.onBug ?? (() => {}),
  };
  return {
    evaluate: (raw, nowSeconds) => evaluate(filters, raw, nowSeconds),
    identify: (connection) => identifyByAddress(filters, connection),
    evaluateConnection: (connection) => evaluateConnection(filters.evaluator, connection, (step) => denyOnBug(filters, step)),
    release: () => filters.authenticator.release(),
  };
}

function evaluate(filters: FilterContext, raw: RawRequest, nowSeconds: number): Verdict {
  try {
    return start(filters, raw, nowSeconds);
  } catch (error) {
    return denyBug(filters, raw, error);
  }
}

/** A bug denies; it must neither let a request through nor stop the agent. */
function denyBug(filters: FilterContext, raw: RawRequest, error: unknown): ReplyVerdict {
  filters.onBug(error);
  const form = { grpc: false, isHead: raw.method === 'HEAD', close: closes(raw) };
  const log = { outcome: 'deny', details: BUG_DETAILS, host: '', path: '', principal: '' } as const;
  return { ...completeReply(accessDenied(BUG_DETAILS), form), log };
}

function denyOnBug(filters: FilterContext, step: () => ConnectionVerdict): ConnectionVerdict {
  try {
    return step();
  } catch (error) {
    filters.onBug(error);
    return { kind: 'deny', details: BUG_DETAILS };
  }
}

function start(filters: FilterContext, sent: RawRequest, nowSeconds: number): Verdict {
  const identified = filters.isTrustedProxy === undefined ? undefined : identifyPeer(sent, filters.isTrustedProxy);
  if (identified?.kind === 'reply') return reject(sent, identified);
  const raw = identifyRequest(filters, identified?.raw ?? sent);
  const preparation = prepareRequest(raw, filters.program.pathNormalization, filters.interfaces);
  if (preparation.kind === 'reply') return reject(raw, preparation);
  const request: RequestContext = { raw, prepared: preparation.prepared, nowSeconds, downstream: NO_CHANGES };
  return filters.program.http.custom.length === 0 ? afterExtAuthz(filters, request) : runExtAuthz(filters, request, 0, RESUMPTION);
}

function identifyRequest(filters: FilterContext, raw: RawRequest): RawRequest {
  const connection = identifyByAddress(filters, raw.connection);
  return connection === raw.connection ? raw : { ...raw, connection };
}

/** The address of a trusted proxy is not that of the client. */
function identifyByAddress({ podIdentity, isTrustedProxy }: FilterContext, connection: ConnectionFacts): ConnectionFacts {
  if (podIdentity === undefined || connection.peer !== undefined) return connection;
  const peer = isTrustedProxy?.(connection.sourceIp) === true ? undefined : podIdentity(connection);
  return peer === undefined ? { ...connection, peerGrade: 'none' } : { ...connection, peer, peerGrade: 'pod-ip' };
}

/** What ext_authz needs of the rest of the chain. */
const RESUMPTION = { proceed: afterExtAuthz, onBug: denyBug };

function afterExtAuthz(filters: FilterContext, request: RequestContext): Verdict {
  const authentication = filters.defersVerification ? runJwtAuthnOnKnown(filters, request) : runJwtAuthn(filters, request);
  return authentication === undefined ? verifyLater(filters, request) : afterJwtAuthn(filters, request, authentication);
}

function verifyLater(filters: FilterContext, waiting: RequestContext): VerifyVerdict {
  return {
    kind: 'verify',
    resume(nowSeconds = waiting.nowSeconds) {
      const request = { ...waiting, nowSeconds };
      try {
        return afterJwtAuthn(filters, request, runJwtAuthn(filters, request));
      } catch (error) {
        return denyBug(filters, request.raw, error);
      }
    },
    log: logOf(waiting, 'none', ''),
  };
}

function afterJwtAuthn(filters: FilterContext, request: RequestContext, authentication: AcceptedIdentity | ReplyVerdict): Verdict {
  return authentication.kind === 'reply' ? authentication : runRbac(filters, request, authentication);
}

/** The verdict on a request that normalization refused. */
function reject(raw: RawRequest, reply: LocalReply): ReplyVerdict {
  const outcome = reply.status === 403 ? 'deny' : 'reject';
  const log = { outcome, details: reply.details, host: raw.authority ?? '', path: pathOf(raw.target), principal: '' } as const;
  const grpc = reply.plain !== true && raw.method !== 'CONNECT' && isGrpc(copyHeaders(raw.headers).headers);
  return { ...completeReply(reply, { grpc, isHead: raw.method === 'HEAD', close: closes(raw) }), log };
}
