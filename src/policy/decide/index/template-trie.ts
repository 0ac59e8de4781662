/*
 * Path templates by segments. In: ids by template. Out: for a path the postings of all templates that it may match: segments
 * are compared, the characters that operators admit are not. Used by `TermIndex`.
 */
import { addHit, createHits, createPosting, type Hits, type IdsByKey, type Posting } from './posting.ts';
import { buildSuffixTrie, type TextTrie } from './text-trie.ts';

const SLASH = 47;

/** Deeper than this no segments are compared; what a template says further down is left to the rule's own test. */
const MAX_DEPTH = 64;

/** What is reached by some segments. There may be thousands, so that each holds no more than it needs. */
interface Node {
  literals: Map<string, Node> | undefined;
  any: Node | undefined;
  /** Ids of templates that end here, that end here with `{**}`, and by what must follow after `{**}`. */
  readonly ids: { ends: readonly number[] | undefined; rests: readonly number[] | undefined; tails: IdsByKey<string> | undefined };
  ends: Posting | undefined;
  rests: Posting | undefined;
  tails: TextTrie | undefined;
}

export interface TemplateTrie {
  /** Adds the postings of every template whose segments fit; or of some of them, and says so. */
  find(path: string, hits: Hits): void;
  /** May it give up? */
  readonly givesUp: boolean;
}

/** With so many nodes that have two ways on, a walk is short enough whatever the path. */
const FEW_FORKS = 3;
/** Nodes that a walk may visit beyond one for each segment of the path. */
const MAX_VISITS = 8;

function createNode(): Node {
  return {
    literals: undefined,
    any: undefined,
    ids: { ends: undefined, rests: undefined, tails: undefined },
    ends: undefined,
    rests: undefined,
    tails: undefined,
  };
}

function follow(node: Node, segment: string): Node {
  if (segment === '{*}') {
    node.any ??= createNode();
    return node.any;
  }
  node.literals ??= new Map();
  const known = node.literals.get(segment);
  if (known !== undefined) return known;
  const created = createNode();
  node.literals.set(segment, created);
  return created;
}

/** Segments of a template, which stand between slashes, up to its `{**}` if it has one, and what follows that. */
export function cutTemplate(text: string): { readonly segments: readonly string[]; readonly rest: string | undefined } {
  const [head, rest] = text.split('{**}') as [string, string?];
  // What stands before `{**}` ends with a slash, whose empty last segment is where the rest begins.
  return { segments: (rest === undefined ? head : head.slice(0, -1)).split('/').slice(1), rest };
}

function addTemplate(root: Node, text: string, ids: readonly number[]): void {
  const { segments, rest } = cutTemplate(text);
  const tail = segments.length > MAX_DEPTH ? '' : rest;
  const { ids: own } = segments.slice(0, MAX_DEPTH).reduce(follow, root);
  if (tail === undefined) own.ends = ids;
  else if (tail === '') own.rests = [...(own.rests ?? []), ...ids];
  else {
    own.tails ??= new Map();
    own.tails.set(tail, [...ids]);
  }
}

/** Gives the number of nodes that have two ways on. */
function finish(node: Node, words: number): number {
  const { ends, rests, tails } = node.ids;
  if (ends !== undefined) node.ends = createPosting(ends, undefined, words);
  if (rests !== undefined) node.rests = createPosting(rests, undefined, words);
  if (tails !== undefined) node.tails = buildSuffixTrie(tails, words);
  let forks = node.any !== undefined && node.literals !== undefined ? 1 : 0;
  if (node.any !== undefined) forks += finish(node.any, words);
  if (node.literals !== undefined) for (const child of node.literals.values()) forks += finish(child, words);
  return forks;
}

/** A walk along all templates that the path fits so far. */
interface Walk {
  path: string;
  hits: Hits;
  /** Nodes that may still be visited. */
  left: number;
}

/** `at` is the slash before the segments that are left, or the end of the path. */
function visit(node: Node, at: number, walk: Walk): void {
  const { path, hits } = walk;
  if (walk.left === 0) {
    hits.isPartial = true;
    return;
  }
  walk.left--;
  if (at === path.length) {
    addHit(hits, node.ends);
    return;
  }
  addHit(hits, node.rests);
  if (node.tails !== undefined) addHit(hits, node.tails.find(path, 0));
  const slash = path.indexOf('/', at + 1);
  const end = slash === -1 ? path.length : slash;
  if (node.any !== undefined && end > at + 1) visit(node.any, end, walk);
  const next = node.literals?.get(path.slice(at + 1, end));
  if (next !== undefined) visit(next, end, walk);
}

/** Builds the trie of well-formed templates; `undefined` when there are none. */
export function buildTemplateTrie(idsByTemplate: IdsByKey<string>, words: number): TemplateTrie | undefined {
  if (idsByTemplate.size === 0) return undefined;
  const root = createNode();
  for (const [text, ids] of idsByTemplate) addTemplate(root, text, ids);
  const givesUp = finish(root, words) > FEW_FORKS;
  // One for all walks, which never overlap.
  const walk: Walk = { path: '', hits: createHits(), left: 0 };
  return {
    givesUp,
    find: (path, hits) => {
      if (path.charCodeAt(0) !== SLASH) return;
      walk.path = path;
      walk.hits = hits;
      // Every segment is a slash and, but for the last one of a path, a character or more.
      walk.left = givesUp ? MAX_VISITS + (path.length >> 1) : Number.MAX_SAFE_INTEGER;
      visit(root, 0, walk);
    },
  };
}
