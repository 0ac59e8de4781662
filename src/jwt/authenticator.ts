/*
 * Authenticates a request under all JWT rules of a program. In: the prepared request and the time. Out: nobody, a verified
 * token, or a refusal ready to be sent; the request is changed as the rules say. The judge calls it between CUSTOM and
 * the other actions.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { firstHeader, removeHeadersWhere } from '../http/header-list.ts';
import type { LocalReply } from '../http/local-reply.ts';
import type { JwtProvider, Provenance } from '../policy/model/program.ts';
import { challenge, refusalDetails } from './challenge.ts';
import { type ImportedKey, importKeySet } from './import-key.ts';
import { AUDIENCE_NOT_ALLOWED, MISSING, type TokenFault, UNKNOWN_ISSUER } from './status.ts';
import type { TokenCacheLimits } from './token-cache.ts';
import type { TokenRequest } from './token-request.ts';
import { createTokenRule, outputsOf, removeOutputs, runTokenRule, type TokenRule, type VerifiedToken } from './token-rule.ts';

/** No token where none is demanded, or a preflight whose token nobody looked at. */
export interface Anonymous {
  readonly kind: 'anonymous';
}

/** A token that no rule accepts, or none where a rule demands one: the request ends here. */
export interface AuthenticationFailure {
  readonly kind: 'refused';
  readonly fault: TokenFault;
  /** 403 for a wrong audience, 401 otherwise; its body is the fault. */
  readonly reply: LocalReply;
  /** The rule whose fault is reported. */
  readonly rule: Provenance;
}

export type Authentication = Anonymous | VerifiedToken | AuthenticationFailure;

export interface AuthenticatorOptions {
  /** Limits of each rule's cache of verified tokens. */
  readonly cache?: TokenCacheLimits;
}

/** Authenticates requests under one program and its key sets. */
export interface Authenticator {
  /**
   * Changes `request` (headers and target) as the rules and the verified token say.
   * @param nowSeconds whole Unix seconds
   */
  authenticate(request: TokenRequest, nowSeconds: number): Authentication;
}

const ANONYMOUS: Anonymous = { kind: 'anonymous' };

/**
 * An authenticator for `providers` in their order. A provider whose key set is not in `keySets` refuses every token.
 * Keys are imported here, once; a changed key set needs a new authenticator, which begins with empty caches.
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
  const run = providers.some(({ required }) => required) ? runDemandedRules : runRules;
  const outputs = outputHeaderNames(providers);
  return {
    authenticate(request, nowSeconds) {
      if (outputs.size > 0) {
        removeHeadersWhere(request.headers, (name) => outputs.has(folded(name)));
      }
      // Rules are for paths, and CONNECT has none.
      if (rules.length === 0 || request.method === 'CONNECT' || isPreflight(request)) {
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

/** `_` and `-` are one to CGI-like applications, so a client may not send the one to pass for the other. */
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
 * The first rule that accepts ends it. When none does, but some took tokens out of the request before they met one that
 * was not theirs, all rules go over what is left: tokens of several issuers may then each find their rule.
 */
function runRules(rules: readonly TokenRule[], request: TokenRequest, nowSeconds: number): Authentication {
  const { target } = request;
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
  return refuse(second === undefined ? toldFault(faults) : lastTelling([...faults, second]), request, target);
}

/**
 * When any rule demands its token, no rule stands in for another: every demanded token must be there, and every token that
 * is there must be good. The identity is that of the last rule that found one.
 * @see istio.io/api security/v1beta1 JWTRule.presence; envoy jwt_authn `requires_all`
 */
function runDemandedRules(rules: readonly TokenRule[], request: TokenRequest, nowSeconds: number): Authentication {
  const { target } = request;
  const outcome = runEveryRule(rules, request, nowSeconds);
  return outcome?.kind === 'fault' ? refuse(outcome, request, target) : (outcome ?? ANONYMOUS);
}

/** The last token verified when every rule accepts what it still finds; else the first fault, or nothing when nothing is found. */
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

/** Which of several faults the client is told: the first, unless that only says "not my token". */
function toldFault(faults: readonly Fault[]): Fault {
  const first = faults[0] as Fault;
  return first.fault === UNKNOWN_ISSUER ? lastTelling(faults) : first;
}

/** The last fault that says more than "not my token"; the first when none does. */
function lastTelling(faults: readonly Fault[]): Fault {
  return faults.findLast(({ fault }) => fault !== UNKNOWN_ISSUER) ?? (faults[0] as Fault);
}

function refuse({ fault, rule }: Fault, request: TokenRequest, target: string): AuthenticationFailure {
  return {
    kind: 'refused',
    fault,
    reply: {
      kind: 'reply',
      status: fault === AUDIENCE_NOT_ALLOWED ? 403 : 401,
      body: fault,
      headers: ['www-authenticate', challenge(request, target, fault)],
      close: false,
      details: refusalDetails(fault),
    },
    rule,
  };
}
