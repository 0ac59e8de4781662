/*
 * Rules by a value that a rule below them must have, so that few are compared with each. In: rules as they are enforced. Out:
 * those that may cover a given one, the most probable first. Called by covered-rules.
 */
import type { Clause, Rule } from '../../policy/model/program.ts';
import { literalStart } from './match-cover.ts';
import { subjectOf } from './rule-cover.ts';

/** Longer values are found by the whole, not by their prefixes. */
const MAX_PREFIX = 200;
const ANYTHING = '';

export interface RuleIndex<T> {
  readonly add: (rule: Rule, entry: T) => void;
  /** Every entry whose rule covers `rule` is among them, except where it does so by a prefix that is very long. */
  readonly candidates: (rule: Rule) => Iterable<T>;
}

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

/** By the first part of the rule that asks for something in each of its alternatives. */
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

/** Values that only a comparison can judge share a key. */
function valueKey(value: NonNullable<Clause['anyOf']>[number]): string {
  if (typeof value === 'number') return `=${value}`;
  if (typeof value === 'string' || !('kind' in value)) return '~';
  if (value.kind === 'exact') return `=${value.value}`;
  return value.kind === 'prefix' ? `^${value.value}` : '~';
}

/** One alternative of each part is enough: whatever covers the rule covers that one, too. */
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

/** What every value that the match takes begins with. */
function literalPrefixOf(value: NonNullable<Clause['anyOf']>[number]): string {
  if (typeof value !== 'object' || !('kind' in value)) return '';
  if (value.kind === 'exact' || value.kind === 'prefix') return value.value;
  return value.kind === 'template' ? literalStart(value.value) : '';
}
