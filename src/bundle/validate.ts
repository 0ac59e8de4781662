/*
 * Validates a bundle piece by piece. Nearly all of a large bundle is rules, so they are taken out, validated a few at a time, and put
 * into the bundle that the schema made of the rest.
 */
import type { Rule } from '../policy/model/program.ts';
import type { Steps } from '../steps.ts';
import type { Bundle } from './bundle.ts';
import { bundleSchema, ruleSchema } from './bundle-schema.ts';

/** Rules of one step: about two milliseconds. */
const RULES_AT_ONCE = 64;

/** A valid bundle, or the first problem: its path and what is wrong there. */
export type Validation = { readonly success: true; readonly bundle: Bundle } | { readonly success: false; readonly problem: string };

type JsonObject = Readonly<Record<string, unknown>>;

interface RuleList {
  /** Names and indexes from the bundle to the list. */
  readonly path: readonly (string | number)[];
  readonly rules: readonly unknown[];
}

/** Validates `value` against the schema of bundles; a step of the generator takes a few milliseconds. */
export function* validateInSteps(value: unknown): Steps<Validation> {
  const lists: RuleList[] = [];
  const result = bundleSchema.safeParse(withoutRules(value, [], lists));
  if (!result.success) return problemAt([], result.error.issues[0]);
  for (const { path, rules } of lists) {
    const valid = ruleArrayAt(result.data, path);
    for (const [at, rule] of rules.entries()) {
      if (at % RULES_AT_ONCE === 0) yield;
      const parsed = ruleSchema.safeParse(rule);
      if (!parsed.success) return problemAt([...path, at], parsed.error.issues[0]);
      valid.push(parsed.data);
    }
  }
  yield;
  return { success: true, bundle: result.data };
}

/** A copy of the levels above the lists of rules, in which these are empty. Whatever has another form is left to the schema. */
function withoutRules(value: unknown, path: RuleList['path'], lists: RuleList[]): unknown {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    // An array in an array is no part of a bundle.
    if (typeof path.at(-1) === 'number') return value;
    return items.map((item, at) => withoutRules(item, [...path, at], lists));
  }
  if (typeof value !== 'object' || value === null) return value;
  const names = NAMES_TO_RULES[depthOf(path)];
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([name, member]) => {
      if (names?.has(name) !== true) return [name, member];
      const inner = [...path, name];
      if (name !== 'rules' || !Array.isArray(member)) return [name, withoutRules(member, inner, lists)];
      lists.push({ path: inner, rules: member });
      return [name, []];
    }),
  );
}

/** Members on the way to the rules, by the number of names before them: `programs.0.http.allow.rules`, `programs.0.http.custom.0.rules`. */
const NAMES_TO_RULES: readonly ReadonlySet<string>[] = [
  new Set(['programs']),
  new Set(['http', 'tcp']),
  new Set(['custom', 'audit', 'deny', 'allow', 'dryRunDeny', 'dryRunAllow']),
  new Set(['rules']),
];

function depthOf(path: RuleList['path']): number {
  return path.filter((part) => typeof part === 'string').length;
}

/** The empty array of the validated bundle that takes the rules. */
function ruleArrayAt(bundle: Bundle, path: RuleList['path']): Rule[] {
  let value: unknown = bundle;
  for (const part of path) value = (value as Readonly<Record<string | number, unknown>>)[part];
  return value as Rule[];
}

function problemAt(
  path: readonly (string | number)[],
  issue: { readonly path: readonly PropertyKey[]; readonly code?: string | undefined } | undefined,
): Validation {
  return { success: false, problem: `${[...path, ...(issue?.path ?? [])].map(String).join('.')}: ${issue?.code ?? 'invalid'}` };
}
