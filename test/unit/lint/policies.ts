/* Test support: builds policies from specs and lints them. */
import { createRuleProver } from '../../../src/analysis/rule-prover.ts';
import { parsePolicy } from '../../../src/api/istio/parse-policy.ts';
import type { Policy } from '../../../src/api/istio/resources.ts';
import type { Finding } from '../../../src/errors.ts';
import { lintPolicies } from '../../../src/lint/lint-policies.ts';

export type Spec = Readonly<Record<string, unknown>>;
export interface Names {
  readonly name?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const ISSUER = 'https://idp';

function policy(kind: string, spec: Spec, { name = 'p', namespace = 'foo', annotations = {} }: Names): Policy {
  const { value } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind, metadata: { name, namespace, annotations }, spec });
  if (value === undefined) throw new Error('the policy of the test is invalid');
  return value;
}

export function ap(spec: Spec, names: Names = {}): Policy {
  return policy('AuthorizationPolicy', spec, names);
}

/** A RequestAuthentication of these JWT rules, each for {@link ISSUER} unless it sets another. */
export function ra(jwtRules: readonly Spec[] = [{}], { selector, ...names }: Names & { readonly selector?: Spec } = {}): Policy {
  const rules = jwtRules.map((rule) => ({ issuer: ISSUER, ...rule }));
  return policy('RequestAuthentication', { jwtRules: rules, ...(selector !== undefined && { selector }) }, { name: 'jwt', ...names });
}

export function rules(...list: readonly Spec[]): Policy {
  return ap({ rules: list });
}

export function to(operation: Spec): Policy {
  return rules({ to: [{ operation }] });
}

export function from(source: Spec): Policy {
  return rules({ from: [{ source }] });
}

export function when(key: string, values: readonly string[], notValues: readonly string[] = []): Policy {
  return rules({ when: [{ key, values, notValues }] });
}

const OPTIONS = { rootNamespace: 'istio-system', pathNormalization: 'BASE', trustedProxies: ['10.0.0.1'] } as const;
const LIMITS = { stepsPerQuestion: 100_000, steps: 2_000_000 };

export function findingsOf(...policies: readonly Policy[]): readonly Finding[] {
  return lintPolicies(policies, OPTIONS).flatMap(({ findings }) => findings);
}

/** `CODE path` of every finding, prefixed with `info` for that severity. */
export function lint(...policies: readonly Policy[]): readonly string[] {
  return findingsOf(...policies).map(summaryOf);
}

/** The same with a prover, as in `check`. */
export function provenLint(...policies: readonly Policy[]): readonly string[] {
  return lintPolicies(policies, OPTIONS, createRuleProver('BASE', LIMITS)).flatMap(({ findings }) => findings.map(summaryOf));
}

function summaryOf({ code, path, severity }: Finding): string {
  return `${severity === 'info' ? 'info ' : ''}${code} ${path}`;
}
