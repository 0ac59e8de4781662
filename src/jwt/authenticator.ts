/*
 * Authenticates a request under all JWT rules of a program, and edits the request as the rules demand. The jwt_authn filter
 * calls it after ext_authz and before rbac.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { firstHeader, removeHeadersWhere } from '../http/header-list.ts';
import type { LocalReply } from '../http/local-reply.ts';
import type { JwtProvider, Provenance } from '../policy/model/program.ts';
import { isPseudoHeader } from '../policy/pseudo-headers.ts';
import { challenge, type RequestUrl, refusalDetails } from './challenge.ts';
import { type ImportedKey, importKeySet } from './import-key.ts';
import type { TokenCacheLimits } from './token-cache.ts';
import { AUDIENCE_NOT_ALLOWED, MISSING, type TokenFault, UNKNOWN_ISSUER } from './token-fault.ts';
import type { TokenRequest } from './token-request.ts';
import { createTokenRule, outputsOf, removeOutputs, runTokenRule, type TokenRule, type VerifiedToken } from './token-rule.ts';

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
  /** Limits of each rule's cache of verified tokens. */
  readonly cache?: TokenCacheLimits;
}

/** Authenticates requests under the JWT rules of one program and its key sets. */
export interface Authenticator {
  /**
   * Edits headers and target of `request`: output headers from the client are removed, output headers of the verified token are
   * added, and the token is removed unless its rule forwards it.
   * @param nowSeconds whole Unix seconds
   */
  authenticate(request: TokenRequest, nowSeconds: number): Authentication;
}

const ANONYMOUS: Anonymous = { kind: 'anonymous' };

/**
 * An authenticator that tries `providers` in order. A provider whose key set is not in `keySets` refuses every token. Keys are
 * imported once, here; a changed key set needs a new authenticator, which starts with empty caches.
 */
export function createAuthenticator(
  providers: readonly JwtProvider[],
  keySets: Readonly<Record<string, KeySet>>,
  options: AuthenticatorOptions = {},
): Authenticator {
  const imported = new Map<string, readonly ImportedKey[]>();
  for (const { keySet } of providers) {
    const set = Object.hasOwn(keySets, keySet) ? keySets[keySet] : undefined;
    if (set !== undefined && !imported.has(keySet)) {
      imported.set(keySet, importKeySet(set));
    }
  }
  const rules = providers.map((provider) => createTokenRule(provider, imported.get(provider.keySet), options.cache));
  const run = providers.some(({ required }) => required) ? runRequiredRules : runRules;
  const outputs = outputHeaderNames(providers);
  const pseudoOutputs = [...outputs].filter(isPseudoHeader);
  return {
    authenticate(request, nowSeconds) {
      if (outputs.size > 0) {
        removeHeadersWhere(request.headers, (name) => outputs.has(folded(name)));
        for (const name of pseudoOutputs) request.removePseudoHeader(name);
      }
      // JWT rules apply to paths. CONNECT has none, nor has a request whose path only a token may set.
      if (rules.length === 0 || request.target === '' || request.method === 'CONNECT' || isPreflight(request)) {
        return ANONYMOUS;
      }
      return run(rules, request, nowSeconds);
    },
  };
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

interface Fault {
  readonly fault: TokenFault;
  readonly rule: Provenance;
}

/**
 * The first rule that accepts a token wins. If none does, but some rules removed tokens from the request before they found one
 * of another issuer, all rules run again on what is left: tokens of several issuers may then each match their rule.
 */
function runRules(rules: readonly TokenRule[], request: TokenRequest, nowSeconds: number): Authentication {
  const { scheme, host, target } = request;
  const faults: Fault[] = [];
  let changed = false;
  for (const rule of rules) {
    if (changed) removeOutputs(rule, request);
    const outcome = runTokenRule(rule, request, nowSeconds);
    if (outcome?.kind === 'verified') {
      return outcome;
    }
    if (outcome !== undefined) {
      faults.push({ fault: outcome.fault, rule: rule.provider.source });
      changed ||= outcome.changed;
    }
  }
  if (faults.length === 0) {
    return ANONYMOUS;
  }
  const second = changed && rules.length > 1 ? runEveryRule(rules, request, nowSeconds) : undefined;
  if (second?.kind === 'verified') {
    return second;
  }
  return refuse(second === undefined ? reportedFault(faults) : lastSpecificFault([...faults, second]), request, { scheme, host, target });
}

/**
 * If any rule requires its token, the rules are not alternatives: every required token must be present, and every present token
 * must be valid. The identity is that of the last rule that found a token.
 * @see istio.io/api security/v1beta1 JWTRule.presence; envoy jwt_authn `requires_all`
 */
function runRequiredRules(rules: readonly TokenRule[], request: TokenRequest, nowSeconds: number): Authentication {
  const { scheme, host, target } = request;
  const outcome = runEveryRule(rules, request, nowSeconds);
  return outcome?.kind === 'fault' ? refuse(outcome, request, { scheme, host, target }) : (outcome ?? ANONYMOUS);
}

/** The last token verified if every rule accepts the tokens that it still finds; else the first fault; `undefined` without a token. */
function runEveryRule(
  rules: readonly TokenRule[],
  request: TokenRequest,
  nowSeconds: number,
): VerifiedToken | (Fault & { readonly kind: 'fault' }) | undefined {
  let verified: VerifiedToken | undefined;
  for (const rule of rules) {
    removeOutputs(rule, request);
    const outcome = runTokenRule(rule, request, nowSeconds);
    if (outcome?.kind === 'fault') {
      return { kind: 'fault', fault: outcome.fault, rule: rule.provider.source };
    }
    if (outcome === undefined && rule.provider.required) {
      return { kind: 'fault', fault: MISSING, rule: rule.provider.source };
    }
    verified = outcome ?? verified;
  }
  return verified;
}

/** The fault that the reply reports: the first, unless it is only that of an unknown issuer. */
function reportedFault(faults: readonly Fault[]): Fault {
  const first = faults[0] as Fault;
  return first.fault === UNKNOWN_ISSUER ? lastSpecificFault(faults) : first;
}

/** The last fault other than an unknown issuer; the first fault if there is no other. */
function lastSpecificFault(faults: readonly Fault[]): Fault {
  return faults.findLast(({ fault }) => fault !== UNKNOWN_ISSUER) ?? (faults[0] as Fault);
}

/** @param url parts of the URL before a token was removed from it */
function refuse({ fault, rule }: Fault, request: TokenRequest, url: RequestUrl): AuthenticationFailure {
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
