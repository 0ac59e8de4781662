/*
 * Path templates by segments. In: ids by template. Out: for a path the postings of all templates that it may match: segments
 * are compared, the characters that operators admit are not. Used by `TermIndex`.
 */
import { addHit, addId, createPosting, type Hits, type IdsByKey, type Posting } from './posting.ts';
import { buildTextTrie, type TextTrie } from './text-trie.ts';

const SLASH = 47;

/** Deeper than this no segments are compared; what a template says further down is left to the rule's own test. */
const MAX_DEPTH = 64;

/** The one key of ids whose template ends here. */
const END = '';

interface Draft {
  readonly literals: Map<string, Draft>;
  any: Draft | undefined;
  readonly ends: IdsByKey<typeof END>;
  /** Ids by what must follow `{**}`, `''` for nothing. */
  readonly tails: IdsByKey<string>;
}

interface Node {
  readonly literals: ReadonlyMap<string, Node>;
  readonly any: Node | undefined;
  readonly posting: Posting | undefined;
  readonly tails: TextTrie | undefined;
}

export interface TemplateTrie {
  /** Adds the postings of every template whose segments fit. */
  find(path: string, hits: Hits): void;
}

function createDraft(): Draft {
  return { literals: new Map(), any: undefined, ends: new Map(), tails: new Map() };
}

function literalDraft(draft: Draft, segment: string): Draft {
  const known = draft.literals.get(segment);
  if (known !== undefined) return known;
  const created = createDraft();
  draft.literals.set(segment, created);
  return created;
}

/** A template is `/a/{*}/b` or, with a tail, `/a/{*}/{**}/b`; segments stand between slashes. */
function addTemplate(root: Draft, text: string, ids: readonly number[]): void {
  const [head, rest] = text.split('{**}') as [string, string?];
  // What stands before `{**}` ends with a slash, whose empty last segment is where the rest begins.
  const segments = (rest === undefined ? head : head.slice(0, -1)).split('/').slice(1);
  const tail = segments.length > MAX_DEPTH ? '' : rest;
  let draft = root;
  for (const segment of segments.slice(0, MAX_DEPTH)) {
    if (segment === '{*}') {
      draft.any ??= createDraft();
      draft = draft.any;
    } else draft = literalDraft(draft, segment);
  }
  for (const id of ids) {
    if (tail === undefined) addId(draft.ends, END, id);
    else addId(draft.tails, tail, id);
  }
}

function finish(draft: Draft, words: number): Node {
  const ids = draft.ends.get(END);
  return {
    literals: new Map(Array.from(draft.literals, ([segment, child]) => [segment, finish(child, words)])),
    any: draft.any === undefined ? undefined : finish(draft.any, words),
    posting: ids === undefined ? undefined : createPosting(ids, undefined, words),
    tails: buildTextTrie(draft.tails, true, words),
  };
}

/** `at` is the slash before the segments that are left, or the end of the path. */
function visit(node: Node, path: string, at: number, hits: Hits): void {
  if (at === path.length) {
    addHit(hits, node.posting);
    return;
  }
  addHit(hits, node.tails?.find(path, 0));
  const slash = path.indexOf('/', at + 1);
  const end = slash === -1 ? path.length : slash;
  if (node.any !== undefined && end > at + 1) visit(node.any, path, end, hits);
  if (node.literals.size === 0) return;
  const next = node.literals.get(path.slice(at + 1, end));
  if (next !== undefined) visit(next, path, end, hits);
}

/** Builds the trie of well-formed templates, whose ids ascend; `undefined` when there are none. */
export function buildTemplateTrie(idsByTemplate: IdsByKey<string>, words: number): TemplateTrie | undefined {
  if (idsByTemplate.size === 0) return undefined;
  const draft = createDraft();
  for (const [text, ids] of idsByTemplate) addTemplate(draft, text, ids);
  const root = finish(draft, words);
  return {
    find: (path, hits) => {
      if (path.charCodeAt(0) === SLASH) visit(root, path, 0, hits);
    },
  };
}
