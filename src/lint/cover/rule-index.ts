/*
 * Indexes rules by a value that they require, so that each rule is compared with few others. Returns the rules that may cover
 * a given one.
 */
import type { Clause, Rule } from '../../policy/model/program.ts';
import { subjectOf } from './quick-cover.ts';

/** Longest prefix of a value under which a covering rule is found. */
const MAX_PREFIX = 200;
/** Entries that need no lookup. */
const FEW = 32;

/** Entries by a value that their rule requires. */
export interface RuleIndex<T> {
  /** Adds an entry for `rule`. @param matchesAll the rule matches every request */
  readonly add: (rule: Rule, entry: T, matchesAll: boolean) => void;
  /**
   * All entries when they are few. Otherwise those that share with `rule` a value that both require; all quick cases of covering are among
   * them, except by a prefix longer than 200 characters. The most likely ones come first.
   */
  readonly candidates: (rule: Rule) => Iterable<T>;
}

/** Entries whose rule requires a value of one subject. */
interface SubjectEntries<T> {
  readonly exact: Map<string | number, T[]>;
  readonly byPrefix: Map<string, T[]>;
  /** Lengths of the prefixes. */
  readonly lengths: Set<number>;
  /** Those whose values must be compared one by one. */
  readonly others: T[];
}

/** An empty index. */
export function createRuleIndex<T>(): RuleIndex<T> {
  const bySubject = new Map<string, SubjectEntries<T>>();
  /** Of rules that require nothing. */
  const anything: T[] = [];
  const all: T[] = [];
  return {
    add(rule, entry, matchesAll) {
      if (all.length <= FEW) all.push(entry);
      const clauses = matchesAll ? undefined : requiredClauses(rule);
      if (clauses === undefined) anything.push(entry);
      else for (const clause of clauses) addClause(bySubject, clause, entry);
    },
    *candidates(rule) {
      if (all.length <= FEW) {
        yield* all;
        return;
      }
      yield* anything;
      const required = requiredValues(rule).flatMap(({ subject, value }) => {
        const entries = bySubject.get(subject);
        return entries === undefined ? [] : [{ value, entries }];
      });
      for (const { value, entries } of required) yield* withExact(entries, value);
      for (const { value, entries } of required) yield* withPrefix(entries, value);
      for (const { entries } of required) yield* entries.others;
    },
  };
}

function addClause<T>(bySubject: Map<string, SubjectEntries<T>>, clause: Clause, entry: T): void {
  const subject = subjectOf(clause);
  let entries = bySubject.get(subject);
  if (entries === undefined) {
    entries = { exact: new Map(), byPrefix: new Map(), lengths: new Set(), others: [] };
    bySubject.set(subject, entries);
  }
  for (const value of clause.anyOf ?? []) {
    if (typeof value === 'number') append(entries.exact, value, entry);
    else if (typeof value === 'string' || !('kind' in value)) appendOnce(entries.others, entry);
    else if (value.kind === 'exact') append(entries.exact, value.value, entry);
    else if (value.kind === 'prefix') {
      append(entries.byPrefix, value.value, entry);
      entries.lengths.add(value.value.length);
    } else appendOnce(entries.others, entry);
  }
}

function append<K, T>(entriesByKey: Map<K, T[]>, key: K, entry: T): void {
  const entries = entriesByKey.get(key);
  if (entries === undefined) entriesByKey.set(key, [entry]);
  else appendOnce(entries, entry);
}

/** The values of one rule are added in a row. */
function appendOnce<T>(entries: T[], entry: T): void {
  if (entries.at(-1) !== entry) entries.push(entry);
}

function* withExact<T>({ exact }: SubjectEntries<T>, value: Value): Iterable<T> {
  const key = typeof value === 'number' ? value : typeof value === 'object' && 'kind' in value && value.kind === 'exact' ? value.value : '';
  yield* exact.get(key) ?? [];
}

/** The longest prefix first. */
function* withPrefix<T>({ byPrefix, lengths }: SubjectEntries<T>, value: Value): Iterable<T> {
  if (lengths.size === 0) return;
  const text = literalPrefixOf(value);
  for (let length = Math.min(text.length, MAX_PREFIX); length > 0; length--) {
    if (lengths.has(length)) yield* byPrefix.get(text.slice(0, length)) ?? [];
  }
}

/** Clauses of the first part of the rule that requires a value in each of its alternatives; undefined: no part does. */
function requiredClauses({ to, from, when }: Rule): readonly Clause[] | undefined {
  for (const entries of [to, from, [when]]) {
    const clauses = entries.map((entry) => entry.find(({ anyOf }) => anyOf !== undefined));
    if (clauses.every((clause) => clause !== undefined)) return clauses;
  }
  return undefined;
}

type Value = NonNullable<Clause['anyOf']>[number];

/** Uses one alternative of each part, because a rule that covers the whole covers that alternative, too. */
function requiredValues({ to: [operation = []], from: [source = []], when }: Rule): readonly { subject: string; value: Value }[] {
  return [...operation, ...source, ...when].flatMap((clause) => {
    const [value] = clause.anyOf ?? [];
    return value === undefined ? [] : [{ subject: subjectOf(clause), value }];
  });
}

/** Literal prefix of every value that the match accepts. */
function literalPrefixOf(value: Value): string {
  if (typeof value !== 'object' || !('kind' in value)) return '';
  if (value.kind === 'exact' || value.kind === 'prefix') return value.value;
  return value.kind === 'template' ? value.value.slice(0, value.value.indexOf('{')) : '';
}
