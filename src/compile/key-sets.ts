/*
 * Collects the key sets of one workload: inline keys are parsed here, others come from the key cache. A rule without keys stays in
 * the program, where it rejects every token, and gets a warning. Everyone who may read ConfigMaps in a workload's namespace can read
 * its bundle, so symmetric keys of policies of other namespaces are left out.
 */
import type { JwtRule, RequestAuthentication } from '../api/istio/resources.ts';
import type { BundleKey, KeySet } from '../bundle/bundle.ts';
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

/** What the key sets of a workload depend on. */
export interface KeySetSources {
  /** Namespace of the workload; `undefined`: the bundle is not published, so it may contain every secret. */
  readonly namespace: string | undefined;
  /** Last good fetched keys of a rule without inline keys of a policy in a namespace; undefined when no fetch has succeeded. */
  readonly keySetOf: (rule: JwtRule, namespace: string) => KeySet | undefined;
}

/** A cache: parsing is pure and rules are immutable. */
const inlineKeysByRule = new WeakMap<JwtRule, ParsedJwks>();
/** At most this many keys of a set are named. */
const NAMED_KEYS = 3;

/** Collects the key sets of the rules in `policies`. */
export function collectKeySets(policies: readonly RequestAuthentication[], sources: KeySetSources): CollectedKeySets {
  const keySetById = new Map<string, KeySet>();
  const findings: PolicyFinding[] = [];
  for (const policy of policies) {
    const { namespace } = policy.metadata;
    const isForeign = sources.namespace !== undefined && sources.namespace !== namespace;
    for (const [index, rule] of (policy.spec.jwtRules ?? []).entries()) {
      const all = hasInlineKeys(rule) ? inlineKeySet(rule) : sources.keySetOf(rule, namespace);
      const keySet = isForeign ? withoutSecrets(all) : all;
      const id = keySetId(rule);
      // The same keys may also be those of a policy of the workload's namespace, which has no secrets from itself.
      if (hasKeys(keySet) && (!isForeign || !keySetById.has(id))) keySetById.set(id, keySet);
      const found = [
        ...(keySet === all ? [] : [withheldKeys(index)]),
        ...(hasKeys(all) ? leftOutKeys(rule, index) : [missingKeys(rule, index)]),
      ];
      findings.push(...found.map((finding) => ({ policy: identityOf(policy), ...finding })));
    }
  }
  const sorted = [...keySetById].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return { keySets: Object.fromEntries(sorted), findings };
}

function hasKeys(keySet: KeySet | undefined): keySet is KeySet {
  return keySet !== undefined && keySet.keys.length > 0;
}

/** The key set without symmetric keys; the same one if it has none. */
function withoutSecrets(keySet: KeySet | undefined): KeySet | undefined {
  if (keySet === undefined || keySet.keys.every(isPublic)) return keySet;
  return { ...keySet, keys: keySet.keys.filter(isPublic) };
}

function isPublic(key: BundleKey): boolean {
  return key['kty'] !== 'oct';
}

function withheldKeys(index: number): Finding {
  return {
    code: 'SP_SECRET',
    severity: 'warning',
    path: `spec.jwtRules[${index}].jwks`,
    message: 'symmetric keys are not published to other namespaces, where everyone who may read ConfigMaps could forge tokens with them',
    hint: 'tokens signed with them are refused with 401 there; use asymmetric keys, or a policy in each namespace',
  };
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
