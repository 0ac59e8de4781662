/*
 * Finds rules that match more or less than they seem to: rules that match every request, rules split by an extra dash, and
 * rules that include clients without an identity.
 */
import type { AuthorizationPolicy, Source } from '../api/istio/resources.ts';
import type { Finding } from '../errors.ts';
import { conditionsOf, matchesEverything, type PlacedRule, rulesOf, sourcesOf, warn } from './shared/lint-finding.ts';

/** Negative fields on attributes that a request may lack, in which case they match. */
const NEGATIVE_IDENTITIES = [
  'notPrincipals',
  'notRequestPrincipals',
  'notNamespaces',
  'notServiceAccounts',
  'notTrustDomains',
] as const satisfies readonly (keyof Source)[];
const IDENTITY_KEY = /^(?:request\.auth\.|source\.(?:principal|namespace|serviceAccount|trustDomain)$)/;

/** Warnings about the structure of the rules of one policy. */
export function findRuleShapes(policy: AuthorizationPolicy): readonly Finding[] {
  const rules = rulesOf(policy);
  return [...withoutRules(policy), ...wideRules(policy, rules), ...splitRules(rules), ...anonymousRules(policy, rules)];
}

function withoutRules({ spec }: AuthorizationPolicy): readonly Finding[] {
  if (spec.action !== 'AUDIT' || (spec.rules ?? []).length > 0) return [];
  const message = 'an AUDIT policy without rules has no effect';
  return [warn({ code: 'SP_NEVER_MATCHES', path: 'spec.rules', message, hint: 'add the rule {} to mark every request' })];
}

function wideRules({ spec: { action } }: AuthorizationPolicy, rules: readonly PlacedRule[]): readonly Finding[] {
  if (action !== 'ALLOW' && action !== 'DENY') return [];
  const message = action === 'ALLOW' ? 'the rule {} allows every request' : 'the rule {} denies every request';
  const hint = action === 'ALLOW' ? 'to allow no request, omit rules' : 'to allow some requests, specify those to deny, or use ALLOW';
  return rules.filter(({ rule }) => matchesEverything(rule)).map(({ path }) => warn({ code: 'SP_WIDE_RULE', path, message, hint }));
}

function splitRules(rules: readonly PlacedRule[]): readonly Finding[] {
  return rules.slice(1).flatMap((second, index) => {
    const pair = [onlyPart(rules[index]), onlyPart(second)].join(' ');
    if (pair !== 'from to' && pair !== 'to from') return [];
    const message = `this rule has only \`${onlyPart(second)}\` and the previous one only \`${onlyPart(rules[index])}\`: each matches on its own`;
    return [
      warn({ code: 'SP_SPLIT_RULE', path: second.path, message, hint: 'to require both, write them as one rule: one dash instead of two' }),
    ];
  });
}

function onlyPart(placed: PlacedRule | undefined): 'from' | 'to' | undefined {
  const { from, to, when } = placed?.rule ?? {};
  if (when !== undefined || (from === undefined) === (to === undefined)) return undefined;
  return from === undefined ? 'to' : 'from';
}

function anonymousRules({ spec }: AuthorizationPolicy, rules: readonly PlacedRule[]): readonly Finding[] {
  if (spec.action !== 'ALLOW') return [];
  return rules.flatMap((placed) => {
    const conditions = conditionsOf(placed).filter(({ condition }) => IDENTITY_KEY.test(condition.key));
    if (conditions.some(({ condition }) => (condition.values ?? []).length > 0)) return [];
    const sources = sourcesOf(placed);
    const open = sources.filter(({ source }) => !Object.keys(source).some((field) => !field.startsWith('not')));
    const inSources = open.flatMap(({ source, path }) =>
      NEGATIVE_IDENTITIES.filter((field) => source[field] !== undefined).map((field) => anonymous(`${path}.${field}`)),
    );
    const isOpen = sources.length === 0 || open.length > 0;
    const inConditions = isOpen ? conditions.map(({ path }) => anonymous(`${path}.notValues`)) : [];
    return [...inSources, ...inConditions];
  });
}

function anonymous(path: string): Finding {
  return warn({
    code: 'SP_WIDE_RULE',
    path,
    message: 'a request without this attribute is not excluded: the rule allows anonymous clients',
    hint: 'also require an identity, for example requestPrincipals: ["*"]',
  });
}
