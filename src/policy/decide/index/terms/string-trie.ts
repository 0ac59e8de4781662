/*
 * A radix trie of prefixes and exact strings, or of suffixes, which are read from the end. It finds the posting of the longest match
 * of a string, whose chain holds the shorter ones; a walk costs at most the length of the string. The trie is in flat arrays, because
 * there may be one for each attribute of thousands of rules.
 */
import type { Steps } from '../../../../steps.ts';
import { addEdge, createEdgeTable, type EdgeTable, ENTRY, firstPlace } from './edge-table.ts';
import { createPosting, type IdSets, type IdsByKey, type Posting } from './posting.ts';
import { sortInSteps } from './sort-in-steps.ts';

/** Finds the longest matching key. */
export interface StringTrie {
  /**
   * Posting of the longest key that `value`, from index `start`, begins with (for suffixes: ends with; `start` is then 0); `undefined`:
   * none. A key that is an exact string matches only if nothing follows it.
   */
  find(value: string, start: number): Posting | undefined;
  /** Largest number of ids that one string can hit. */
  readonly worst: number;
}

/** The keys from `from` up to but not including `to`, which share their first `depth` characters. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  readonly parent: Posting | undefined;
  /** Parent node; -1: this is the root. */
  readonly origin: number;
}

/** Arrays by node. The edge that leads to a node is `key.slice(start, end)`. */
interface Nodes {
  readonly key: string[];
  readonly start: number[];
  readonly end: number[];
  readonly posting: (Posting | undefined)[];
  /** Posting when the string ends at the node; `posting` is for longer strings. */
  readonly whole: (Posting | undefined)[];
  readonly origin: number[];
}

/** What a trie is built from. */
interface Keys {
  readonly prefixes: IdsByKey<string>;
  readonly exact: IdsByKey<string>;
  /** All keys, sorted by code unit, as spans require. */
  readonly sorted: readonly string[];
}

const NODES_PER_STEP = 128;

function commonLength(left: string, right: string, from: number): number {
  const length = Math.min(left.length, right.length);
  let i = from;
  while (i < length && left.charCodeAt(i) === right.charCodeAt(i)) i++;
  return i;
}

/** Builds the nodes without recursion: policies may nest keys to any depth. */
function* buildNodes({ prefixes, exact, sorted: keys }: Keys, sets: IdSets | undefined): Steps<Nodes> {
  const nodes: Nodes = { key: [], start: [], end: [], posting: [], whole: [], origin: [] };
  const spans: Span[] = [{ from: 0, to: keys.length, depth: 0, parent: undefined, origin: -1 }];
  for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
    const { from, to, depth, origin } = span;
    const first = keys[from] as string;
    // The root's edge is empty, so that every walk starts in the same way.
    const end = origin === -1 ? 0 : commonLength(first, keys[to - 1] as string, depth);
    const ends = first.length === end;
    const posting = postingOf(ends ? prefixes.get(first) : undefined, span.parent, sets);
    const node = nodes.key.length;
    if (node % NODES_PER_STEP === 0) yield;
    nodes.key.push(first);
    nodes.start.push(depth);
    nodes.end.push(end);
    nodes.posting.push(posting);
    nodes.whole.push(postingOf(ends ? exact.get(first) : undefined, posting, sets));
    nodes.origin.push(origin);
    pushChildren(spans, keys, { from: ends ? from + 1 : from, to, depth: end, parent: posting, origin: node });
  }
  return nodes;
}

function postingOf(ids: readonly number[] | undefined, parent: Posting | undefined, sets: IdSets | undefined): Posting | undefined {
  return ids === undefined ? parent : createPosting(ids, parent, sets);
}

/** Pushes one span for each character that continues from here. */
function pushChildren(spans: Span[], keys: readonly string[], rest: Span): void {
  let from = rest.from;
  while (from < rest.to) {
    const code = (keys[from] as string).charCodeAt(rest.depth);
    let to = from + 1;
    while (to < rest.to && (keys[to] as string).charCodeAt(rest.depth) === code) to++;
    spans.push({ ...rest, from, to });
    from = to;
  }
}

/** By node: the next node, itself or a descendant, that has no child or several. */
function nextForks({ origin }: Nodes): Int32Array {
  const ways = new Int32Array(origin.length);
  const forks = Int32Array.from(origin.keys());
  // Children come after their parents.
  for (let node = origin.length - 1; node > 0; node--) {
    const parent = origin[node] as number;
    ways[parent] = (ways[parent] as number) + 1;
    forks[parent] = ways[parent] === 1 ? (forks[node] as number) : parent;
  }
  return forks;
}

/**
 * Edges by first character, with the depth of their target. They skip nodes with a single child: whether the skipped characters match is
 * checked at the end of the walk.
 */
function* buildEdges({ key, start, end, origin }: Nodes, forks: Int32Array): Steps<EdgeTable> {
  const table = createEdgeTable(key.length);
  for (let node = 1; node < key.length; node++) {
    if (node % NODES_PER_STEP === 0) yield;
    const parent = origin[node] as number;
    // A walk never stops at a node with a single child.
    if (forks[parent] !== parent) continue;
    const code = (key[node] as string).charCodeAt(start[node] as number);
    const fork = forks[node] as number;
    addEdge(table, [parent, code, fork, end[fork] as number]);
  }
  return table;
}

/** The string reversed, code unit by code unit. */
export function reversed(value: string): string {
  let result = '';
  for (let i = value.length - 1; i >= 0; i--) result += value[i];
  return result;
}

const NO_STRINGS: IdsByKey<string> = new Map();

/** Builds the trie of prefixes and exact strings; `undefined`: `prefixes` is empty. @param sets see `createPosting` */
export function* buildPrefixTrie(
  prefixes: IdsByKey<string>,
  sets: IdSets | undefined,
  exact: IdsByKey<string> = NO_STRINGS,
): Steps<StringTrie | undefined> {
  return prefixes.size === 0 ? undefined : yield* buildTrie(prefixes, exact, sets, false);
}

/** Builds the trie of suffixes; `undefined`: `suffixes` is empty. @param sets see `createPosting` */
export function* buildSuffixTrie(suffixes: IdsByKey<string>, sets: IdSets | undefined): Steps<StringTrie | undefined> {
  if (suffixes.size === 0) return undefined;
  return yield* buildTrie(new Map(Array.from(suffixes, ([suffix, ids]) => [reversed(suffix), ids])), NO_STRINGS, sets, true);
}

function* buildTrie(prefixes: IdsByKey<string>, exact: IdsByKey<string>, sets: IdSets | undefined, fromEnd: boolean): Steps<StringTrie> {
  const keys = new Set(prefixes.keys());
  for (const key of exact.keys()) keys.add(key);
  yield;
  const sorted = yield* sortInSteps([...keys], (left, right) => (left < right ? -1 : 1));
  const nodes = yield* buildNodes({ prefixes, exact, sorted }, sets);
  const forks = nextForks(nodes);
  yield;
  const edges = yield* buildEdges(nodes, forks);
  yield;
  const worst = nodes.whole.reduce((most, posting) => Math.max(most, posting?.total ?? 0), 0);
  return { worst, find: finder(nodes, edges, { root: forks[0] as number, fromEnd }) };
}

/** Walks by the first character of each edge only, then compares the whole string once with the key of the last node. */
function finder(
  { key, end, origin, posting, whole }: Nodes,
  { entries, shift }: EdgeTable,
  { root, fromEnd }: { readonly root: number; readonly fromEnd: boolean },
): StringTrie['find'] {
  const ends = Int32Array.from(end);
  const origins = Int32Array.from(origin);
  const mask = entries.length - 1;
  const step = fromEnd ? -1 : 1;
  const keys = fromEnd ? key.map(reversed) : key;
  // With a single candidate position these compare whole words of memory, which `startsWith` does not.
  const isWhole = fromEnd
    ? (value: string, _start: number, suffix: string): boolean =>
        suffix.length <= value.length && value.includes(suffix, value.length - suffix.length)
    : (value: string, start: number, prefix: string): boolean => value.lastIndexOf(prefix, start) === start;
  const rootDepth = ends[root] as number;
  return (value, start) => {
    const length = value.length - start;
    const first = fromEnd ? value.length - 1 : start;
    let node = root;
    for (let depth = rootDepth; depth < length; ) {
      const code = value.charCodeAt(first + step * depth);
      let at = firstPlace(node, code, shift);
      while (entries[at] !== -1 && (entries[at] !== node || entries[at + 1] !== code)) at = (at + ENTRY) & mask;
      if (entries[at] === -1) break;
      node = entries[at + 2] as number;
      depth = entries[at + 3] as number;
    }
    const reached = key[node] as string;
    // The usual case: the whole key matches.
    if (reached.length !== ends[node] || !isWhole(value, start, keys[node] as string)) {
      const most = Math.min(length, ends[node] as number);
      let common = 0;
      while (common < most && reached.charCodeAt(common) === value.charCodeAt(first + step * common)) common++;
      while ((ends[node] as number) > common) node = origins[node] as number;
    }
    return ends[node] === length ? whole[node] : posting[node];
  };
}
