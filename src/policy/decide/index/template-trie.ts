/*
 * Path templates by segments. In: ids by template. Out: for a path the postings of all templates that it may match: segments
 * are compared, the characters that operators admit are not. Used by `TermIndex`.
 */
import { addHit, createPosting, type Hits, type IdsByKey, type Posting } from './posting.ts';
import { buildTextTrie, type TextTrie } from './text-trie.ts';

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
  /** Adds the postings of every template whose segments fit. */
  find(path: string, hits: Hits): void;
}

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

/** A template is `/a/{*}/b` or, with a tail, `/a/{*}/{**}/b`; segments stand between slashes. */
function addTemplate(root: Node, text: string, ids: readonly number[]): void {
  const [head, rest] = text.split('{**}') as [string, string?];
  // What stands before `{**}` ends with a slash, whose empty last segment is where the rest begins.
  const segments = (rest === undefined ? head : head.slice(0, -1)).split('/').slice(1);
  const tail = segments.length > MAX_DEPTH ? '' : rest;
  const { ids: own } = segments.slice(0, MAX_DEPTH).reduce(follow, root);
  if (tail === undefined) own.ends = ids;
  else if (tail === '') own.rests = [...(own.rests ?? []), ...ids];
  else {
    own.tails ??= new Map();
    own.tails.set(tail, [...ids]);
  }
}

function finish(node: Node, words: number): void {
  const { ends, rests, tails } = node.ids;
  if (ends !== undefined) node.ends = createPosting(ends, undefined, words);
  if (rests !== undefined) node.rests = createPosting(rests, undefined, words);
  if (tails !== undefined) node.tails = buildTextTrie(tails, true, words);
  if (node.any !== undefined) finish(node.any, words);
  if (node.literals !== undefined) for (const child of node.literals.values()) finish(child, words);
}

/** `at` is the slash before the segments that are left, or the end of the path. */
function visit(node: Node, path: string, at: number, hits: Hits): void {
  if (at === path.length) {
    addHit(hits, node.ends);
    return;
  }
  addHit(hits, node.rests);
  if (node.tails !== undefined) addHit(hits, node.tails.find(path, 0));
  const slash = path.indexOf('/', at + 1);
  const end = slash === -1 ? path.length : slash;
  if (node.any !== undefined && end > at + 1) visit(node.any, path, end, hits);
  if (node.literals === undefined) return;
  const next = node.literals.get(path.slice(at + 1, end));
  if (next !== undefined) visit(next, path, end, hits);
}

/** Builds the trie of well-formed templates; `undefined` when there are none. */
export function buildTemplateTrie(idsByTemplate: IdsByKey<string>, words: number): TemplateTrie | undefined {
  if (idsByTemplate.size === 0) return undefined;
  const root = createNode();
  for (const [text, ids] of idsByTemplate) addTemplate(root, text, ids);
  finish(root, words);
  return {
    find: (path, hits) => {
      if (path.charCodeAt(0) === SLASH) visit(root, path, 0, hits);
    },
  };
}
