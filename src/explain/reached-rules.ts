/*
 * Records which rules a stream of requests reaches. A rule that no request reached was not compared.
 */
import { factsOf } from '../filters/request-facts.ts';
import type { RawRequest } from '../http/heads.ts';
import { prepareRequest } from '../http/normalize/prepare.ts';
import { createAuthenticator } from '../jwt/authenticator.ts';
import { type CompiledRule, compileRules, matchesRule } from '../policy/decide/compile-rules.ts';
import type { JwtProvider } from '../policy/model/program.ts';
import type { Enforced } from './evaluate-to-end.ts';
import { withPeer } from './explain-request.ts';
import type { RuleRef } from './explanation.ts';
import { type RuleOfRole, rolesOf } from './generate/rule-targets.ts';
import { ruleRef } from './rule-ref.ts';

/** Rules that are still to be reached. */
export interface ReachedRules {
  /** Takes one request into account. Costs almost nothing once every rule was reached. */
  readonly add: (request: RawRequest) => void;
  /** JWT rules that accepted no token, and rules that no request matched where they are evaluated; as written. */
  readonly notReached: () => readonly RuleRef[];
}

interface OpenRule {
  readonly role: RuleOfRole['role'];
  readonly compiled: CompiledRule;
}

/** Starts with no rule reached. @param nowSeconds whole Unix seconds */
export function createReachedRules({ program, keySets }: Enforced, nowSeconds: number): ReachedRules {
  let providers = program.providers.map((provider) => ({ provider, authenticator: createAuthenticator([provider], keySets) }));
  let rules: readonly OpenRule[] = rolesOf(program).flatMap(({ rule, role }) =>
    compileRules([rule]).map((compiled) => ({ role, compiled })),
  );
  const all = createAuthenticator(program.providers, keySets);
  const denyRules = compileRules(program.http.deny.rules);
  const prepared = (request: RawRequest): ReturnType<typeof prepareRequest> | undefined => {
    const raw = withPeer(program, request);
    return raw === undefined ? undefined : prepareRequest(raw, program.pathNormalization);
  };
  const addProviders = (request: RawRequest): void => {
    providers = providers.filter(({ authenticator }) => {
      const preparation = prepared(request);
      return preparation?.kind !== 'ok' || authenticator.authenticate(preparation.prepared, nowSeconds).kind !== 'verified';
    });
  };
  const addRules = (request: RawRequest): void => {
    const preparation = prepared(request);
    if (preparation?.kind !== 'ok') return;
    const { prepared: head } = preparation;
    const { connection } = withPeer(program, request) ?? request;
    const beforeTokens = factsOf(head, connection);
    rules = rules.filter(({ role, compiled }) => role !== 'custom' || !matchesRule(compiled, beforeTokens, undefined));
    const result = all.authenticate(head, nowSeconds);
    if (result.kind === 'refused') return;
    const facts = factsOf(head, connection, result.kind === 'verified' ? result.claims : undefined);
    const matches = (compiled: CompiledRule): boolean => matchesRule(compiled, facts, facts.claims);
    const isDenied = denyRules.some(matches);
    rules = rules.filter(({ role, compiled }) => role === 'custom' || (role === 'allow' && isDenied) || !matches(compiled));
  };
  return {
    add(request) {
      if (providers.length > 0) addProviders(request);
      if (rules.length > 0) addRules(request);
    },
    notReached: () => [
      ...providers.map(({ provider }: { readonly provider: JwtProvider }) => ruleRef(provider.source)),
      ...rules.map(({ compiled }) => ruleRef(compiled.rule.source)),
    ],
  };
}
