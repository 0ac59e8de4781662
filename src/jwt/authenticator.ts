/*
 * Authenticates a request under all JWT rules of a program, and edits the request as the rules demand. The jwt_authn filter
 * calls it after ext_authz and before rbac.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { firstHeader, removeHeadersWhere } from '../http/header-list.ts';
import type { LocalReply } from '../http/local-reply.ts';
import type { JwtProvider, Provenance } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { doSteps, type Steps } from '../steps.ts';
import { challenge, type RequestUrl, refusalDetails } from './challenge.ts';
import { type ImportedKey, importKeySet } from './import-key.ts';
import { KnownTokens, type UnknownKeyListener } from './known-tokens.ts';
import { type FoundTokens, findTokens, indexRules } from './rule-index.ts';
import { type RefusedToken, type RulesRun, runAll, runAlternatives } from './run-rules.ts';
import { TokenCache } from './token-cache.ts';
import { AUDIENCE_NOT_ALLOWED, type TokenFault } from './token-fault.ts';
import type { TokenRecord, VerifiedToken } from './token-record.ts';
import type { TokenRequest } from './token-request.ts';
import { createTokenRule, outputsOf } from './token-rule.ts';

/** The request has no token and no rule requires one, or it is a CORS preflight, whose token is not checked. */
export interface Anonymous {
  readonly kind: 'anonymous';
}

/** A token that no rule accepts, or no token where a rule requires one: the request ends here. */
export interface AuthenticationFailure {
  readonly kind: 'refused';
  readonly fault: TokenFault;
  /** 403 for a wrong audience, 401 otherwise; its body is the fault. */
  readonly reply: LocalReply;
  /** The rule whose fault is reported. */
  readonly rule: Provenance;
}

/** Result of authenticating one request. */
export type Authentication = Anonymous | VerifiedToken | AuthenticationFailure;

/** Settings of an authenticator. */
export interface AuthenticatorOptions {
  /** Where examined tokens are cached; default: a separate cache. */
  readonly cache?: TokenCache;
  /** Called before every verification of a signature. */
  readonly onVerification?: () => void;
  /** Absent: nothing needs to know. */
  readonly onUnknownKey?: UnknownKeyListener;
}

/** Authenticates requests under the JWT rules of one program and its key sets. */
export interface Authenticator {
  /**
   * Edits headers and target of `request`: output headers from the client are removed, output headers of the verified token are
   * added, and the token is removed unless its rule forwards it.
   * @param nowSeconds whole Unix seconds
   */
  authenticate(request: TokenRequest, nowSeconds: number): Authentication;
  /**
   * The same if every token of `request` is in the cache; otherwise `undefined`: {@link authenticate} has to parse a token and
   * perhaps to verify its signature.
   */
  authenticateKnown(request: TokenRequest, nowSeconds: number): Authentication | undefined;
  /** Drops the cached tokens; none is cached afterwards. */
  release(): void;
}

const ANONYMOUS: Anonymous = { kind: 'anonymous' };

/**
 * An authenticator that tries `providers` in order. A provider whose key set is not in `keySets` refuses every token. Keys are
 * imported once, here; a changed key set needs a new authenticator, which starts without cached tokens.
 */
export function createAuthenticator(
  providers: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
  options: AuthenticatorOptions = {},
): Authenticator {
  return doSteps(createAuthenticatorInSteps(providers, keySets, options));
}

/** The same in steps. */
export function* createAuthenticatorInSteps(
  providers: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
  options: AuthenticatorOptions,
): Steps<Authenticator> {
  const imported = yield* importKeySets(providers, keySets);
  const index = indexRules(providers.map((provider, at) => createTokenRule(provider, at, imported.get(provider.keySet))));
  const partition = (options.cache ?? new TokenCache()).open<TokenRecord>(providers.length);
  const known = new KnownTokens(partition, options.onVerification ?? (() => {}), options.onUnknownKey);
  const required = providers.some((provider) => provider.required);
  const outputs = outputHeaderNames(providers);
  const pseudoOutputs = [...outputs].filter(isPseudoHeader);
  const run = (request: TokenRequest, nowSeconds: number, found: readonly FoundTokens[]): Authentication => {
    if (found.length === 0 && !required) return ANONYMOUS;
    const { scheme, host, target } = request;
    const rulesRun: RulesRun = { index, request, known, nowSeconds };
    const result = required ? runAll(rulesRun) : runAlternatives(rulesRun, found);
    if (result?.kind === 'fault') known.refuse();
    known.end();
    return result?.kind === 'fault' ? refuse(result, request, { scheme, host, target }) : (result ?? ANONYMOUS);
  };
  /** The tokens of the request, without output headers that the client has set; `undefined`: its tokens are not looked at. */
  const find = (request: TokenRequest): readonly FoundTokens[] | undefined => {
    if (outputs.size > 0) {
      removeHeadersWhere(request.headers, (name) => outputs.has(folded(name)));
      for (const name of pseudoOutputs) request.removePseudoHeader(name);
    }
    // JWT rules apply to paths. CONNECT has none, nor has a request whose path only a token may set.
    const isExempt = providers.length === 0 || request.target === '' || request.method === 'CONNECT' || isPreflight(request);
    return isExempt ? undefined : findTokens(index, request);
  };
  return {
    authenticate(request, nowSeconds) {
      const found = find(request);
      return found === undefined ? ANONYMOUS : run(request, nowSeconds, found);
    },
    authenticateKnown(request, nowSeconds) {
      const found = find(request);
      if (found === undefined) return ANONYMOUS;
      for (const { tokens } of found) {
        for (const { text } of tokens) {
          if (known.has(text)) continue;
          known.end();
          return undefined;
        }
      }
      return run(request, nowSeconds, found);
    },
    release: () => known.release(),
  };
}

function* importKeySets(
  providers: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
): Steps<ReadonlyMap<string, readonly ImportedKey[]>> {
  const imported = new Map<string, readonly ImportedKey[]>();
  for (const { keySet } of providers) {
    const set = Object.hasOwn(keySets, keySet) ? keySets[keySet] : undefined;
    if (set !== undefined && !imported.has(keySet)) imported.set(keySet, yield* importKeySet(set));
  }
  return imported;
}

/** Header names that only a verified token may set, in the form that {@link folded} gives. */
function outputHeaderNames(providers: readonly JwtProvider[]): ReadonlySet<string> {
  return new Set(providers.flatMap((provider) => [...outputsOf(provider)].map(folded)));
}

/** CGI-like applications do not distinguish `_` from `-`, so a client must not pass off one for the other. */
function folded(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

function isPreflight(request: TokenRequest): boolean {
  return (
    request.method === 'OPTIONS' &&
    (firstHeader(request.headers, 'origin') ?? '') !== '' &&
    (firstHeader(request.headers, 'access-control-request-method') ?? '') !== ''
  );
}

/** @param url parts of the URL before a token was removed from it */
function refuse({ fault, rule }: RefusedToken, request: TokenRequest, url: RequestUrl): AuthenticationFailure {
  return {
    kind: 'refused',
    fault,
    reply: {
      kind: 'reply',
      status: fault === AUDIENCE_NOT_ALLOWED ? 403 : 401,
      body: fault,
      headers: ['www-authenticate', challenge(request, url, fault)],
      close: false,
      details: refusalDetails(fault),
    },
    rule,
  };
}
