/*
 * Collects the key sets of one workload: inline keys are parsed here, others come from the key cache. A rule without keys stays in
 * the program, where it rejects every token, and gets a warning.
 */
import type { JwtRule, RequestAuthentication } from '../api/istio/resources.ts';
import type { KeySet } from '../bundle/bundle.ts';
import type { Finding } from '../errors.ts';
import { type ParsedJwks, parseJwks } from '../jwt/parse-jwks.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import { hasInlineKeys, keySetId } from './key-set-id.ts';

/** Key sets and the warnings about rules without one. */
export interface CollectedKeySets {
  /** By id, sorted; only sets with a usable key. */
  readonly keySets: Readonly<Record<string, KeySet>>;
  readonly findings: readonly PolicyFinding[];
}

/** A cache: parsing is pure and rules are immutable. */
const inlineKeysByRule = new WeakMap<JwtRule, ParsedJwks>();
/** At most this many keys of a set are named. */
const NAMED_KEYS = 3;

/**
 * Collects the key sets of the rules in `policies`.
 *
 * @param keySetOf last good fetched keys of a rule without inline keys; undefined when no fetch has succeeded
 */
export function collectKeySets(
  policies: readonly RequestAuthentication[],
  keySetOf: (rule: JwtRule) => KeySet | undefined,
): CollectedKeySets {
  const keySetById = new Map<string, KeySet>();
  const findings: PolicyFinding[] = [];
  for (const policy of policies) {
    for (const [index, rule] of (policy.spec.jwtRules ?? []).entries()) {
      const keySet = hasInlineKeys(rule) ? inlineKeySet(rule) : keySetOf(rule);
      if (keySet !== undefined && keySet.keys.length > 0) {
        keySetById.set(keySetId(rule), keySet);
        findings.push(...leftOutKeys(rule, index).map((finding) => ({ policy: identityOf(policy), ...finding })));
      } else findings.push({ policy: identityOf(policy), ...missingKeys(rule, index) });
    }
  }
  const ids = [...keySetById.keys()].sort();
  return { keySets: Object.fromEntries(ids.flatMap((id) => (keySetById.has(id) ? [[id, keySetById.get(id) as KeySet]] : []))), findings };
}

/** The usable inline keys of one policy, by id. */
export function inlineKeySets({ spec }: RequestAuthentication): Readonly<Record<string, KeySet>> {
  const rules = (spec.jwtRules ?? []).filter((rule) => hasInlineKeys(rule) && inlineKeys(rule).keys.length > 0);
  return Object.fromEntries(rules.map((rule) => [keySetId(rule), inlineKeySet(rule)]));
}

function inlineKeySet(rule: JwtRule): KeySet {
  return { source: 'inline', keys: inlineKeys(rule).keys };
}

/** Unusable keys of an inline set that has usable ones. What a fetched set lacks, the status reports. */
function leftOutKeys(rule: JwtRule, index: number): readonly Finding[] {
  const leftOut = hasInlineKeys(rule) ? inlineKeys(rule).leftOut : [];
  if (leftOut.length === 0) return [];
  const more = leftOut.length > NAMED_KEYS ? `; and ${leftOut.length - NAMED_KEYS} more` : '';
  const message = `keys of the set are not used: ${leftOut.slice(0, NAMED_KEYS).join('; ')}${more}`;
  const hint = 'tokens that only these keys verify are rejected';
  return [{ code: 'SP_JWKS', severity: 'warning', path: `spec.jwtRules[${index}].jwks`, message, hint }];
}

function inlineKeys(rule: JwtRule): ParsedJwks {
  const known = inlineKeysByRule.get(rule);
  if (known !== undefined) return known;
  const parsed = parseJwks(rule.jwks ?? '');
  inlineKeysByRule.set(rule, parsed);
  return parsed;
}

function missingKeys(rule: JwtRule, index: number): Finding {
  const path = `spec.jwtRules[${index}]`;
  const hint = 'until there are keys, every token for this rule is refused with 401';
  if (hasInlineKeys(rule)) {
    const reason = inlineKeys(rule).problems.join('; ');
    return {
      code: 'SP_JWKS',
      severity: 'warning',
      path: `${path}.jwks`,
      message: `no usable key in jwks${reason === '' ? '' : `: ${reason}`}`,
      hint,
    };
  }
  const source = rule.jwksUri === undefined || rule.jwksUri === '' ? `issuer ${JSON.stringify(rule.issuer ?? '')}` : rule.jwksUri;
  const member = rule.jwksUri === undefined || rule.jwksUri === '' ? 'issuer' : 'jwksUri';
  return { code: 'SP_JWKS_UNAVAILABLE', severity: 'warning', path: `${path}.${member}`, message: `no keys from ${source} yet`, hint };
}

function identityOf({ kind, metadata }: RequestAuthentication): PolicyFinding['policy'] {
  return { kind, namespace: metadata.namespace, name: metadata.name };
}
