/*
 * Parses and validates the JSON of a bundle piece by piece: first everything but the rules, then the rules a few at a time. A piece is
 * parsed when it is validated, so that what the parser makes of it is garbage before it is old.
 */
import type { Rule } from '../policy/model/program.ts';
import type { Steps } from '../steps.ts';
import type { Bundle } from './bundle.ts';
import { bundleSchema } from './bundle-schema.ts';
import { type CutList, cutRules } from './cut-rules.ts';
import { validateRule } from './validate-rule.ts';

/** A valid bundle, or the first problem: its path and what is wrong there. */
export type Validation = { readonly success: true; readonly bundle: Bundle } | { readonly success: false; readonly problem: string };

/** A smaller bundle is parsed as a whole: start-up of an agent is shorter then. */
const SMALL_BYTES = 16 * 1024;

/** A bundle whose rules are not validated yet. */
export interface UnvalidatedBundle {
  /** JSON value in which the lists of rules are empty. */
  readonly rest: unknown;
  readonly lists: readonly CutList[];
}

/** Parses all but the rules. @throws SyntaxError, TypeError when something is not JSON in UTF-8 */
export function* parseInSteps(json: Uint8Array): Steps<UnvalidatedBundle> {
  if (json.length < SMALL_BYTES) return { rest: parse(json), lists: [] };
  const { rest, lists } = yield* cutRules(json);
  yield;
  return { rest: parse(rest), lists };
}

/** Validates all of a bundle against its schema. @throws SyntaxError, TypeError when a rule is not JSON in UTF-8 */
export function* validateInSteps({ rest, lists }: UnvalidatedBundle): Steps<Validation> {
  const result = bundleSchema.safeParse(rest);
  if (!result.success) return problemAt([], result.error.issues[0]);
  const filled = new Set<unknown>();
  for (const { path, pieces } of lists) {
    const valid = ruleArrayAt(result.data, path);
    // A repeated member: of several lists one would be lost, or all be taken.
    if (valid === undefined || filled.has(valid)) return problemAt(path, { path: [], code: 'repeated' });
    filled.add(valid);
    for (const piece of pieces) {
      yield;
      for (const rule of parseElements(piece)) {
        const parsed = yield* validateRule(rule);
        if (!parsed.success) return problemAt([...path, valid.length], parsed);
        valid.push(parsed.data);
      }
    }
  }
  yield;
  return { success: true, bundle: result.data };
}

function parse(json: Uint8Array): unknown {
  return JSON.parse(decode(json));
}

function parseElements(piece: Uint8Array): readonly unknown[] {
  const elements = JSON.parse(`[${decode(piece)}]`) as readonly unknown[];
  if (elements.length === 0) throw new SyntaxError('a comma without an element');
  return elements;
}

function decode(json: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
}

/** The array of the validated bundle that takes the rules; undefined: it has none there. */
function ruleArrayAt(bundle: Bundle, path: CutList['path']): Rule[] | undefined {
  let value: unknown = bundle;
  for (const part of path) value = (value as Readonly<Record<string | number, unknown>> | undefined)?.[part];
  return value as Rule[] | undefined;
}

function problemAt(
  path: readonly (string | number)[],
  issue: { readonly path: readonly PropertyKey[]; readonly code?: string | undefined } | undefined,
): Validation {
  return { success: false, problem: `${[...path, ...(issue?.path ?? [])].map(String).join('.')}: ${issue?.code ?? 'invalid'}` };
}
