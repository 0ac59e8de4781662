/*
 * Names of rules for people. In: where a piece of a program comes from. Out: a reference as plain data, and as text.
 */
import type { Provenance } from '../policy/model/program.ts';
import type { RuleRef } from './explanation.ts';

/** The reference to the source of a piece of a program. */
export function ruleRef({ kind, namespace, name, rule }: Provenance): RuleRef {
  return { kind, policy: `${namespace}/${name}`, rule };
}

/**
 * One text for one rule, good as a key.
 * @example ruleText({ kind: 'AuthorizationPolicy', policy: 'foo/require-jwt', rule: 0 }) // 'AuthorizationPolicy foo/require-jwt rules[0]'
 */
export function ruleText({ kind, policy, rule }: RuleRef): string {
  return `${kind} ${policy} ${kind === 'RequestAuthentication' ? 'jwtRules' : 'rules'}[${rule}]`;
}
