/*
 * Indexes rules by a value that they require, so that each rule is compared with few others. Returns the rules that may cover
 * a given one.
 */
import type { Clause, Rule } from '../../policy/model/program.ts';
import { literalStart } from './match-cover.ts';
import { subjectOf } from './rule-cover.ts';

/** Longest prefix of a value under which a covering rule is found. */
const MAX_PREFIX = 200;
const ANYTHING = '';

/** Entries by a value that their rule requires. */
export interface RuleIndex<T> {
  /** Adds an entry for `rule`. */
  readonly add: (rule: Rule, entry: T) => void;
  /** Includes every entry whose rule covers `rule`, except by a prefix longer than 200 characters; the most likely ones first. */
  readonly candidates: (rule: Rule) => Iterable<T>;
}

/** An empty index. */
export function createRuleIndex<T>(): RuleIndex<T> {
  const entriesByKey = new Map<string, T[]>();
  return {
    add(rule, entry) {
      for (const key of new Set(keysOf(rule))) {
        const entries = entriesByKey.get(key);
        if (entries === undefined) entriesByKey.set(key, [entry]);
        else entries.push(entry);
      }
    },
    *candidates(rule) {
      for (const key of coveringKeys(rule)) yield* entriesByKey.get(key) ?? [];
    },
  };
}

/** Keys from the first part of the rule that requires a value in each of its alternatives. */
function keysOf({ to, from, when }: Rule): readonly string[] {
  for (const entries of [to, from, [when]]) {
    const clauses = entries.map((entry) => entry.find(({ anyOf }) => anyOf !== undefined));
    if (clauses.every((clause) => clause !== undefined)) return clauses.flatMap(valueKeys);
  }
  return [ANYTHING];
}

function valueKeys(clause: Clause): readonly string[] {
  const subject = subjectOf(clause);
  return (clause.anyOf ?? []).map((value) => `${subject} ${valueKey(value)}`);
}

/** Values that must be compared one by one share a key. */
function valueKey(value: NonNullable<Clause['anyOf']>[number]): string {
  if (typeof value === 'number') return `=${value}`;
  if (typeof value === 'string' || !('kind' in value)) return '~';
  if (value.kind === 'exact') return `=${value.value}`;
  return value.kind === 'prefix' ? `^${value.value}` : '~';
}

/** Uses one alternative of each part, because a rule that covers the whole covers that alternative, too. */
function* coveringKeys({ to: [operation = []], from: [source = []], when }: Rule): Iterable<string> {
  const clauses = [...operation, ...source, ...when].flatMap((clause) => {
    const [first] = clause.anyOf ?? [];
    return first === undefined ? [] : [{ subject: subjectOf(clause), key: valueKey(first), text: literalPrefixOf(first) }];
  });
  yield ANYTHING;
  for (const { subject, key } of clauses) if (key.startsWith('=')) yield `${subject} ${key}`;
  for (const { subject, text } of clauses) {
    for (let length = Math.min(text.length, MAX_PREFIX); length > 0; length--) yield `${subject} ^${text.slice(0, length)}`;
  }
  for (const { subject } of clauses) yield `${subject} ~`;
}

/** Literal prefix of every value that the match accepts. */
function literalPrefixOf(value: NonNullable<Clause['anyOf']>[number]): string {
  if (typeof value !== 'object' || !('kind' in value)) return '';
  if (value.kind === 'exact' || value.kind === 'prefix') return value.value;
  return value.kind === 'template' ? literalStart(value.value) : '';
}
