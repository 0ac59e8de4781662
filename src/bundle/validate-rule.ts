/*
 * Validates one rule. A rule may name tens of thousands of values, in lists of its clauses, which are validated a part at a time.
 */
import type { Clause, Rule } from '../policy/model/program.ts';
import type { Steps } from '../steps.ts';
import { clauseSchema, ruleSchema } from './bundle-schema.ts';

/** Values of a list that one step validates. */
const PART = 256;

/** A valid rule, or the first problem. */
export type RuleValidation =
  | { readonly success: true; readonly data: Rule }
  | { readonly success: false; readonly path: readonly PropertyKey[]; readonly code: string | undefined };

type JsonObject = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/** A list of which the rule has only the first part. */
interface LongList {
  /** Names and indexes from the rule to the clause. */
  readonly path: Path;
  readonly clause: JsonObject;
  readonly name: 'anyOf' | 'noneOf';
  readonly values: readonly unknown[];
}

/** Validates `rule` against its schema. */
export function* validateRule(rule: unknown): Steps<RuleValidation> {
  const lists: LongList[] = [];
  const parsed = ruleSchema.safeParse(withFirstParts(rule, [], lists));
  if (!parsed.success) return problem([], parsed.error.issues[0]);
  for (const { path, clause, name, values } of lists) {
    const valid = valuesAt(parsed.data, path, name);
    for (let from = PART; from < values.length; from += PART) {
      yield;
      const { anyOf: _any, noneOf: _none, ...rest } = clause;
      const part = clauseSchema.safeParse({ ...rest, [name]: values.slice(from, from + PART) });
      if (!part.success) {
        const issue = part.error.issues[0];
        const [list, index, ...inner] = issue?.path ?? [];
        return problem([...path, ...(list === undefined ? [] : [list, ...(typeof index === 'number' ? [index + from] : [])])], {
          path: inner,
          code: issue?.code,
        });
      }
      for (const value of part.data[name] ?? []) valid.push(value);
    }
  }
  return { success: true, data: parsed.data };
}

/** A copy of the levels above the clauses, in which long lists are cut. Whatever has another form is left to the schema. */
function withFirstParts(value: unknown, path: Path, lists: LongList[]): unknown {
  if (Array.isArray(value)) return path.length > 2 ? value : value.map((item: unknown, at) => withFirstParts(item, [...path, at], lists));
  if (typeof value !== 'object' || value === null) return value;
  if (path.length === 0) {
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, CLAUSE_LISTS.has(name) ? withFirstParts(member, [name], lists) : member]),
    );
  }
  const clause = value as JsonObject;
  const cut = LIST_NAMES.flatMap((name) => {
    const values = clause[name];
    if (!Array.isArray(values) || values.length <= PART) return [];
    lists.push({ path, clause, name, values });
    return [[name, values.slice(0, PART)] as const];
  });
  return cut.length === 0 ? clause : Object.assign({ ...clause }, Object.fromEntries(cut));
}

const CLAUSE_LISTS: ReadonlySet<string> = new Set(['from', 'to', 'when']);
const LIST_NAMES = ['anyOf', 'noneOf'] as const;

/** The list of the valid rule that takes the other values. */
function valuesAt(rule: Rule, path: Path, name: LongList['name']): unknown[] {
  let value: unknown = rule;
  for (const part of path) value = (value as Readonly<Record<string | number, unknown>>)[part];
  return (value as Clause)[name] as unknown[];
}

function problem(
  path: readonly PropertyKey[],
  issue: { readonly path: readonly PropertyKey[]; readonly code?: string | undefined } | undefined,
): RuleValidation {
  return { success: false, path: [...path, ...(issue?.path ?? [])], code: issue?.code };
}
