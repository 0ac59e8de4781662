/*
 * The key sets of one workload. In: its JWT rules and a way to the last good fetched keys. Out: key sets by id, and a
 * warning for each rule that has none. A rule without keys stays in the program: every token for it is refused.
 */
import type { JwtRule, RequestAuthentication } from '../api/istio/resources.ts';
import type { BundleKey, KeySet } from '../bundle/bundle.ts';
import type { Finding } from '../errors.ts';
import { parseJwks } from '../jwt/parse-jwks.ts';
import type { PolicyFinding } from '../policy/lower/lowering.ts';
import { hasInlineKeys, keySetId } from './key-set-id.ts';

export interface CollectedKeySets {
  /** Ids sorted; only those with a usable key. */
  readonly keySets: Readonly<Record<string, KeySet>>;
  readonly findings: readonly PolicyFinding[];
}

interface InlineKeys {
  readonly keys: readonly BundleKey[];
  readonly problems: readonly string[];
}

/** Parsing is pure and rules never change, so the result may live as long as its rule. */
const inlineKeysByRule = new WeakMap<JwtRule, InlineKeys>();

/**
 * Collects the key sets that `policies` name.
 *
 * @param keySetOf last good fetched keys of a rule without inline keys; undefined: none yet
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
      if (keySet !== undefined && keySet.keys.length > 0) keySetById.set(keySetId(rule), keySet);
      else findings.push({ policy: identityOf(policy), ...missingKeys(rule, index) });
    }
  }
  const ids = [...keySetById.keys()].sort();
  return { keySets: Object.fromEntries(ids.flatMap((id) => (keySetById.has(id) ? [[id, keySetById.get(id) as KeySet]] : []))), findings };
}

function inlineKeySet(rule: JwtRule): KeySet {
  return { source: 'inline', keys: inlineKeys(rule).keys };
}

function inlineKeys(rule: JwtRule): InlineKeys {
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
