/*
 * A trie of path templates by segments. It finds all templates that a path may match: segments are compared by hash, and the
 * characters that `{*}` and `{**}` allow are not checked, so the exact test has to follow.
 */
import type { Steps } from '../../../../steps.ts';
import { addEdge, createEdgeTable, type EdgeTable, ENTRY, firstPlace } from './edge-table.ts';
import { addHit, createHits, createPosting, type Hits, type IdSets, type IdsByKey, type Posting } from './posting.ts';
import { buildSuffixTrie, type StringTrie } from './string-trie.ts';

const SLASH = 47;

/** Segments deeper than this are not compared; they are left to the exact test. */
const MAX_DEPTH = 64;

/** A node while the trie is built. */
interface Draft {
  readonly number: number;
  readonly literals: Map<string, Draft>;
  any: Draft | undefined;
  /** Ids of templates that end here, of those that end here with `{**}`, and of the others by what follows `{**}`. */
  ends: readonly number[] | undefined;
  rests: readonly number[] | undefined;
  tails: IdsByKey<string> | undefined;
}

/** The nodes of the trie in flat arrays. */
interface Nodes {
  /** For each node: the next node after any segment (`{*}`), and its index in `ends`; -1: none. */
  readonly ways: Int32Array;
  readonly ends: readonly End[];
  /** Labelled with the hash of a segment. */
  readonly edges: EdgeTable;
}

/** The templates that end at a node: exactly there, with `{**}`, or with `{**}` and a suffix. */
interface End {
  readonly whole: Posting | undefined;
  readonly rest: Posting | undefined;
  readonly tails: StringTrie | undefined;
}

const WAYS = 2;

/** Finds templates by path. */
export interface TemplateTrie {
  /** Adds the postings of every template whose segments match. If the search gives up, adds some of them and sets `isPartial`. */
  find(path: string, hits: Hits): void;
  /** May a search give up? */
  readonly givesUp: boolean;
}

/** A walk may branch at this many nodes; each branch may be as long as the path. */
const FEW_FORKS = 3;
/** Nodes that a walk may visit in addition to one for each segment of the path. */
const MAX_VISITS = 8;

/** The trie while templates are added. */
class Drafts {
  readonly all: Draft[] = [];
  readonly root: Draft = this.#create();

  add(template: string, ids: readonly number[]): void {
    const { segments, rest } = cutTemplate(template);
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

/** Segments of a template up to its `{**}` if it has one, and `rest`, what follows `{**}`; `undefined`: there is no `{**}`. */
export function cutTemplate(template: string): { readonly segments: readonly string[]; readonly rest: string | undefined } {
  const [head, rest] = template.split('{**}') as [string, string?];
  // The part before `{**}` ends with a slash, after which the rest begins.
  return { segments: (rest === undefined ? head : head.slice(0, -1)).split('/').slice(1), rest };
}

/** Adds a character to a hash that starts as {@link HASH} (FNV-1a). */
function addToHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

const HASH = 0x811c9dc5 | 0;

function hashOf(segment: string): number {
  let hash = HASH;
  for (let i = 0; i < segment.length; i++) hash = addToHash(hash, segment.charCodeAt(i));
  return hash;
}

const PER_STEP = 128;

function* finish(drafts: readonly Draft[], sets: IdSets | undefined): Steps<Nodes> {
  const ends: End[] = [];
  const ways = new Int32Array(drafts.length * WAYS);
  const edges = createEdgeTable(drafts.length);
  for (const draft of drafts) {
    const { number, any, literals } = draft;
    if (number % PER_STEP === 0) yield;
    ways[number * WAYS] = any?.number ?? -1;
    ways[number * WAYS + 1] = isEnd(draft) ? ends.push(yield* endOf(draft, sets)) - 1 : -1;
    for (const [segment, next] of literals) addEdge(edges, [number, hashOf(segment), next.number]);
  }
  return { ways, ends, edges };
}

function isEnd({ ends, rests, tails }: Draft): boolean {
  return ends !== undefined || rests !== undefined || tails !== undefined;
}

function* endOf({ ends, rests, tails }: Draft, sets: IdSets | undefined): Steps<End> {
  return {
    whole: ends === undefined ? undefined : createPosting(ends, undefined, sets),
    rest: rests === undefined ? undefined : createPosting(rests, undefined, sets),
    tails: tails === undefined ? undefined : yield* buildSuffixTrie(tails, sets),
  };
}

/** Can a walk branch here? */
function isFork({ any, literals }: Draft): boolean {
  return any !== undefined && literals.size > 0;
}

/** The state of a walk along all templates that match the path so far. */
interface Walk {
  path: string;
  hits: Hits;
  /** Number of nodes that may still be visited. */
  left: number;
  /** Number of nodes at which the walk may still branch. */
  forks: number;
}

/** `at`: index of the slash before the remaining segments, or the end of the path. */
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
    // Detects a walk that would take too long on the way down, before most of the work is done.
    if (entries[slot] !== -1 && walk.forks-- === 0) walk.left = 0;
    visit(nodes, any, end, walk);
  }
  // Segments with the same hash are all followed: a false hit does no harm.
  while (entries[slot] !== -1) {
    if (entries[slot] === node && entries[slot + 1] === hash) visit(nodes, entries[slot + 2] as number, end, walk);
    slot = (slot + ENTRY) & (entries.length - 1);
  }
}

/** Builds the trie of well-formed templates; `undefined`: `idsByTemplate` is empty. @param sets see `createPosting` */
export function* buildTemplateTrie(idsByTemplate: IdsByKey<string>, sets: IdSets | undefined): Steps<TemplateTrie | undefined> {
  if (idsByTemplate.size === 0) return undefined;
  const drafts = new Drafts();
  let added = 0;
  for (const [template, ids] of idsByTemplate) {
    drafts.add(template, ids);
    added += 1;
    if (added % PER_STEP === 0) yield;
  }
  const nodes = yield* finish(drafts.all, sets);
  const givesUp = drafts.all.filter(isFork).length > FEW_FORKS;
  // Shared by all walks, which never overlap.
  const walk: Walk = { path: '', hits: createHits(), left: 0, forks: 0 };
  return {
    givesUp,
    find: (path, hits) => {
      if (path.charCodeAt(0) !== SLASH) return;
      walk.path = path;
      walk.hits = hits;
      // Every segment but the last takes at least two characters: a slash and one more.
      walk.left = givesUp ? MAX_VISITS + (path.length >> 1) : Number.MAX_SAFE_INTEGER;
      walk.forks = FEW_FORKS;
      visit(nodes, 0, 0, walk);
    },
  };
}
