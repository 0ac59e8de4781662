/*
 * Names rules in explanations and reports.
 */
import type { Provenance } from '../policy/model/program.ts';
import type { RuleRef } from './explanation.ts';

/** The reference to the source of a part of a program. */
export function ruleRef({ kind, namespace, name, rule }: Provenance): RuleRef {
  return { kind, policy: `${namespace}/${name}`, rule };
}

/**
 * A rule in words; unique, so that it also serves as a key.
 * @example ruleText({ kind: 'AuthorizationPolicy', policy: 'foo/require-jwt', rule: 0 }) // 'AuthorizationPolicy foo/require-jwt rules[0]'
 */
export function ruleText({ kind, policy, rule }: RuleRef): string {
  return `${kind} ${policy} ${kind === 'RequestAuthentication' ? 'jwtRules' : 'rules'}[${rule}]`;
}
