/*
 * Prefixes (or, read from the end, suffixes) of texts in a radix trie, and beside prefixes whole texts. In: ids by prefix and by whole
 * text. Out: for a text the posting of its longest prefix, whose chain holds the shorter ones, or that of the whole text before
 * them; the walk costs at most the length of the text. Held in flat arrays, since there may be one for each attribute of
 * thousands of rules. Used by `TermIndex`.
 */
import { addEdge, createEdgeTable, type EdgeTable, ENTRY, firstPlace } from './edge-table.ts';
import { createPosting, type IdsByKey, type Posting } from './posting.ts';
import type { RowSets } from './row-sets.ts';

/** Finds the longest known prefix. */
export interface TextTrie {
  /**
   * Posting of the longest key that `text`, from index `start`, begins with (or ends with, for suffixes; `start` is then 0).
   * A key that is a whole text counts only if nothing follows it.
   */
  find(text: string, start: number): Posting | undefined;
  /** Most ids that one text can hit. */
  readonly worst: number;
}

/** Keys `from` up to `to`, which share `depth` characters. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  readonly parent: Posting | undefined;
  /** Node that the edge to this one leaves; -1: the root. */
  readonly origin: number;
}

/** Arrays by node: the edge into it is `key.slice(start, end)`. */
interface Nodes {
  readonly key: string[];
  readonly start: number[];
  readonly end: number[];
  readonly posting: (Posting | undefined)[];
  /** Where the text ends with the node. */
  readonly whole: (Posting | undefined)[];
  readonly origin: number[];
}

/** What a trie is built of. */
interface Keys {
  readonly prefixes: IdsByKey<string>;
  readonly texts: IdsByKey<string>;
  /** All of them, sorted by code units, which is what spans need. */
  readonly sorted: readonly string[];
}

function commonLength(left: string, right: string, from: number): number {
  const length = Math.min(left.length, right.length);
  let i = from;
  while (i < length && left.charCodeAt(i) === right.charCodeAt(i)) i++;
  return i;
}

/** Builds with a stack of its own: keys nest as deeply as a policy likes. */
function buildNodes({ prefixes, texts, sorted: keys }: Keys, sets: RowSets | undefined): Nodes {
  const nodes: Nodes = { key: [], start: [], end: [], posting: [], whole: [], origin: [] };
  const spans: Span[] = [{ from: 0, to: keys.length, depth: 0, parent: undefined, origin: -1 }];
  for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
    const { from, to, depth, origin } = span;
    const first = keys[from] as string;
    // The root's edge is empty, so that every walk starts alike.
    const end = origin === -1 ? 0 : commonLength(first, keys[to - 1] as string, depth);
    const ends = first.length === end;
    const posting = postingOf(ends ? prefixes.get(first) : undefined, span.parent, sets);
    const node = nodes.key.length;
    nodes.key.push(first);
    nodes.start.push(depth);
    nodes.end.push(end);
    nodes.posting.push(posting);
    nodes.whole.push(postingOf(ends ? texts.get(first) : undefined, posting, sets));
    nodes.origin.push(origin);
    pushChildren(spans, keys, { from: ends ? from + 1 : from, to, depth: end, parent: posting, origin: node });
  }
  return nodes;
}

function postingOf(ids: readonly number[] | undefined, parent: Posting | undefined, sets: RowSets | undefined): Posting | undefined {
  return ids === undefined ? parent : createPosting(ids, parent, sets);
}

/** One span for each character that goes on from here. */
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

/** By node: the next one, itself or further down, that has not just one way on. */
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

/** Edges by first character, with where the node they lead to ends. They lead past nodes that have only one way on: whether the text goes along is seen at the end. */
function buildEdges({ key, start, end, origin }: Nodes, forks: Int32Array): EdgeTable {
  const table = createEdgeTable(key.length);
  for (let node = 1; node < key.length; node++) {
    const parent = origin[node] as number;
    // A walk never stands on a node that has one way on.
    if (forks[parent] !== parent) continue;
    const code = (key[node] as string).charCodeAt(start[node] as number);
    const fork = forks[node] as number;
    addEdge(table, [parent, code, fork, end[fork] as number]);
  }
  return table;
}

/** The text from its end, code unit by code unit. */
export function reversed(text: string): string {
  let result = '';
  for (let i = text.length - 1; i >= 0; i--) result += text[i];
  return result;
}

const NO_TEXTS: IdsByKey<string> = new Map();

/** Builds the trie of prefixes, and of whole texts if there are any prefixes; `undefined` when there are none. */
export function buildPrefixTrie(
  prefixes: IdsByKey<string>,
  sets: RowSets | undefined,
  texts: IdsByKey<string> = NO_TEXTS,
): TextTrie | undefined {
  return prefixes.size === 0 ? undefined : buildTrie(prefixes, texts, sets, false);
}

/** Builds the trie of suffixes; `undefined` when there are none. */
export function buildSuffixTrie(suffixes: IdsByKey<string>, sets: RowSets | undefined): TextTrie | undefined {
  if (suffixes.size === 0) return undefined;
  return buildTrie(new Map(Array.from(suffixes, ([text, ids]) => [reversed(text), ids])), NO_TEXTS, sets, true);
}

function buildTrie(prefixes: IdsByKey<string>, texts: IdsByKey<string>, sets: RowSets | undefined, fromEnd: boolean): TextTrie {
  const keys = new Set(prefixes.keys());
  for (const text of texts.keys()) keys.add(text);
  const nodes = buildNodes({ prefixes, texts, sorted: [...keys].sort() }, sets);
  const forks = nextForks(nodes);
  const edges = buildEdges(nodes, forks);
  const worst = nodes.whole.reduce((most, posting) => Math.max(most, posting?.total ?? 0), 0);
  return { worst, find: finder(nodes, edges, { root: forks[0] as number, fromEnd }) };
}

/** Walks by the first character of each edge alone, and compares the whole text once, with where the walk ended. */
function finder(
  { key, end, origin, posting, whole }: Nodes,
  { entries, shift }: EdgeTable,
  { root, fromEnd }: { readonly root: number; readonly fromEnd: boolean },
): TextTrie['find'] {
  const ends = Int32Array.from(end);
  const origins = Int32Array.from(origin);
  const mask = entries.length - 1;
  const step = fromEnd ? -1 : 1;
  const texts = fromEnd ? key.map(reversed) : key;
  // With one place to look at these compare words of memory, which `startsWith` does not.
  const isWhole = fromEnd
    ? (text: string, _start: number, suffix: string): boolean =>
        suffix.length <= text.length && text.includes(suffix, text.length - suffix.length)
    : (text: string, start: number, prefix: string): boolean => text.lastIndexOf(prefix, start) === start;
  const rootDepth = ends[root] as number;
  return (text, start) => {
    const length = text.length - start;
    const first = fromEnd ? text.length - 1 : start;
    let node = root;
    for (let depth = rootDepth; depth < length; ) {
      const code = text.charCodeAt(first + step * depth);
      let at = firstPlace(node, code, shift);
      while (entries[at] !== -1 && (entries[at] !== node || entries[at + 1] !== code)) at = (at + ENTRY) & mask;
      if (entries[at] === -1) break;
      node = entries[at + 2] as number;
      depth = entries[at + 3] as number;
    }
    const reached = key[node] as string;
    // The usual case at the speed of memory: all of the key is there.
    if (reached.length !== ends[node] || !isWhole(text, start, texts[node] as string)) {
      const most = Math.min(length, ends[node] as number);
      let common = 0;
      while (common < most && reached.charCodeAt(common) === text.charCodeAt(first + step * common)) common++;
      while ((ends[node] as number) > common) node = origins[node] as number;
    }
    return ends[node] === length ? whole[node] : posting[node];
  };
}
