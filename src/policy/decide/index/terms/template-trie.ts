/*
 * Path templates by segments. In: ids by template. Out: for a path the postings of all templates that it may match: segments
 * are compared by their hashes, the characters that operators admit are not. Used by `TermIndex`.
 */
import { addEdge, createEdgeTable, type EdgeTable, ENTRY, firstPlace } from './edge-table.ts';
import { addHit, createHits, createPosting, type Hits, type IdsByKey, type Posting } from './posting.ts';
import type { RowSets } from './row-sets.ts';
import { buildSuffixTrie, type TextTrie } from './text-trie.ts';

const SLASH = 47;

/** Deeper than this no segments are compared; what a template says further down is left to the rule's own test. */
const MAX_DEPTH = 64;

/** What is reached by some segments, while the trie is built. */
interface Draft {
  readonly number: number;
  readonly literals: Map<string, Draft>;
  any: Draft | undefined;
  /** Ids of templates that end here, that end here with `{**}`, and by what must follow after `{**}`. */
  ends: readonly number[] | undefined;
  rests: readonly number[] | undefined;
  tails: IdsByKey<string> | undefined;
}

/** What is reached by some segments, by number. */
interface Nodes {
  /** For each node the one after any segment, and the number of what ends here; -1: there is none. */
  readonly ways: Int32Array;
  readonly ends: readonly End[];
  /** By the hash of a segment. */
  readonly edges: EdgeTable;
}

/** The templates that end at a node: there, with `{**}`, or with `{**}` and more text. */
interface End {
  readonly whole: Posting | undefined;
  readonly rest: Posting | undefined;
  readonly tails: TextTrie | undefined;
}

const WAYS = 2;

export interface TemplateTrie {
  /** Adds the postings of every template whose segments fit; or of some of them, and says so. */
  find(path: string, hits: Hits): void;
  /** May it give up? */
  readonly givesUp: boolean;
}

/** A walk that takes two ways at so many nodes is short enough: each way may be as long as the path. */
const FEW_FORKS = 3;
/** Nodes that a walk may visit beyond one for each segment of the path. */
const MAX_VISITS = 8;

/** Templates as they are added. */
class Drafts {
  readonly all: Draft[] = [];
  readonly root: Draft = this.#create();

  add(text: string, ids: readonly number[]): void {
    const { segments, rest } = cutTemplate(text);
    const tail = segments.length > MAX_DEPTH ? '' : rest;
    const end = segments.slice(0, MAX_DEPTH).reduce((draft, segment) => this.#follow(draft, segment), this.root);
    if (tail === undefined) end.ends = ids;
    else if (tail === '') end.rests = [...(end.rests ?? []), ...ids];
    else {
      end.tails ??= new Map();
      end.tails.set(tail, [...ids]);
    }
  }

  #follow(draft: Draft, segment: string): Draft {
    if (segment === '{*}') {
      draft.any ??= this.#create();
      return draft.any;
    }
    const known = draft.literals.get(segment);
    if (known !== undefined) return known;
    const created = this.#create();
    draft.literals.set(segment, created);
    return created;
  }

  #create(): Draft {
    const draft: Draft = {
      number: this.all.length,
      literals: new Map(),
      any: undefined,
      ends: undefined,
      rests: undefined,
      tails: undefined,
    };
    this.all.push(draft);
    return draft;
  }
}

/** Segments of a template, which stand between slashes, up to its `{**}` if it has one, and what follows that. */
export function cutTemplate(text: string): { readonly segments: readonly string[]; readonly rest: string | undefined } {
  const [head, rest] = text.split('{**}') as [string, string?];
  // What stands before `{**}` ends with a slash, whose empty last segment is where the rest begins.
  return { segments: (rest === undefined ? head : head.slice(0, -1)).split('/').slice(1), rest };
}

/** Hash of some characters of a text; begun with {@link HASH}, it goes on with each of them. */
function addToHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

const HASH = 0x811c9dc5 | 0;

function hashOf(segment: string): number {
  let hash = HASH;
  for (let i = 0; i < segment.length; i++) hash = addToHash(hash, segment.charCodeAt(i));
  return hash;
}

function finish(drafts: readonly Draft[], sets: RowSets | undefined): Nodes {
  const ends: End[] = [];
  const ways = new Int32Array(drafts.length * WAYS);
  const edges = createEdgeTable(drafts.length);
  for (const draft of drafts) {
    const { number, any, literals } = draft;
    ways[number * WAYS] = any?.number ?? -1;
    ways[number * WAYS + 1] = isEnd(draft) ? ends.push(endOf(draft, sets)) - 1 : -1;
    for (const [segment, next] of literals) addEdge(edges, [number, hashOf(segment), next.number]);
  }
  return { ways, ends, edges };
}

function isEnd({ ends, rests, tails }: Draft): boolean {
  return ends !== undefined || rests !== undefined || tails !== undefined;
}

function endOf({ ends, rests, tails }: Draft, sets: RowSets | undefined): End {
  return {
    whole: ends === undefined ? undefined : createPosting(ends, undefined, sets),
    rest: rests === undefined ? undefined : createPosting(rests, undefined, sets),
    tails: tails === undefined ? undefined : buildSuffixTrie(tails, sets),
  };
}

/** Is there a choice of two ways on? */
function isFork({ any, literals }: Draft): boolean {
  return any !== undefined && literals.size > 0;
}

/** A walk along all templates that the path fits so far. */
interface Walk {
  path: string;
  hits: Hits;
  /** Nodes that may still be visited. */
  left: number;
  /** Nodes where it may still take two ways. */
  forks: number;
}

/** `at` is the slash before the segments that are left, or the end of the path. */
function visit(nodes: Nodes, node: number, at: number, walk: Walk): void {
  const { path, hits } = walk;
  if (walk.left === 0) {
    hits.isPartial = true;
    return;
  }
  walk.left--;
  const { ways, ends } = nodes;
  const { entries, shift } = nodes.edges;
  const number = ways[node * WAYS + 1] as number;
  const ending = number === -1 ? undefined : ends[number];
  if (at === path.length) {
    addHit(hits, ending?.whole);
    return;
  }
  if (ending !== undefined) {
    addHit(hits, ending.rest);
    if (ending.tails !== undefined) addHit(hits, ending.tails.find(path, 0));
  }
  let hash = HASH;
  let end = at + 1;
  for (; end < path.length; end++) {
    const code = path.charCodeAt(end);
    if (code === SLASH) break;
    hash = addToHash(hash, code);
  }
  let slot = firstPlace(node, hash, shift);
  while (entries[slot] !== -1 && (entries[slot] !== node || entries[slot + 1] !== hash)) slot = (slot + ENTRY) & (entries.length - 1);
  const any = end > at + 1 ? (ways[node * WAYS] as number) : -1;
  if (any !== -1) {
    // What would take too long is seen on the way down, before most of it is done.
    if (entries[slot] !== -1 && walk.forks-- === 0) walk.left = 0;
    visit(nodes, any, end, walk);
  }
  // Segments with the same hash are all followed: a template too many does no harm.
  while (entries[slot] !== -1) {
    if (entries[slot] === node && entries[slot + 1] === hash) visit(nodes, entries[slot + 2] as number, end, walk);
    slot = (slot + ENTRY) & (entries.length - 1);
  }
}

/** Builds the trie of well-formed templates; `undefined` when there are none. */
export function buildTemplateTrie(idsByTemplate: IdsByKey<string>, sets: RowSets | undefined): TemplateTrie | undefined {
  if (idsByTemplate.size === 0) return undefined;
  const drafts = new Drafts();
  for (const [text, ids] of idsByTemplate) drafts.add(text, ids);
  const nodes = finish(drafts.all, sets);
  const givesUp = drafts.all.filter(isFork).length > FEW_FORKS;
  // One for all walks, which never overlap.
  const walk: Walk = { path: '', hits: createHits(), left: 0, forks: 0 };
  return {
    givesUp,
    find: (path, hits) => {
      if (path.charCodeAt(0) !== SLASH) return;
      walk.path = path;
      walk.hits = hits;
      // Every segment is a slash and, but for the last one of a path, a character or more.
      walk.left = givesUp ? MAX_VISITS + (path.length >> 1) : Number.MAX_SAFE_INTEGER;
      walk.forks = FEW_FORKS;
      visit(nodes, 0, 0, walk);
    },
  };
}
