/*
 * Everything that clauses of one axis look for, in one index: hash maps for exact texts, tries for prefixes and suffixes, ranges
 * for CIDR blocks, a trie by segments for templates. In: terms with ids. Out: for a value the postings it hits. Used for
 * guards, for the row filter and for long lists of one clause.
 */
import { type IpBlock, type IpWords, parseIpBlock } from '../../match/ip-block.ts';
import { type BlockTable, buildBlockTable } from './block-table.ts';
import { addHit, addId, createPosting, type Hits, type IdsByKey, type Posting } from './posting.ts';
import type { RowSets } from './row-sets.ts';
import { buildTemplateTrie, type TemplateTrie } from './template-trie.ts';
import type { Term, TermKind } from './term.ts';
import { buildPrefixTrie, buildSuffixTrie, type TextTrie } from './text-trie.ts';

/** An index that is being filled. */
export interface IndexDraft {
  readonly idsByText: Map<TermKind, IdsByKey<string>>;
}

export interface TermIndex {
  /** `undefined`: there are none, or they are in `prefix`. */
  readonly exact: ReadonlyMap<string, Posting> | undefined;
  /** With exact texts beside the prefixes: one walk finds both. */
  readonly prefix: TextTrie | undefined;
  readonly suffix: TextTrie | undefined;
  readonly present: Posting | undefined;
  readonly templates: TemplateTrie | undefined;
  readonly namespaces: TextTrie | undefined;
  readonly accounts: ReadonlyMap<string, Posting> | undefined;
  /** All ids of `accounts`. */
  readonly everyAccount: Posting | undefined;
  readonly ports: ReadonlyMap<number, Posting> | undefined;
  readonly ipv4: BlockTable | undefined;
  readonly ipv6: BlockTable | undefined;
  /** Most ids that one value can hit. */
  readonly worst: number;
}

export function createIndexDraft(): IndexDraft {
  return { idsByText: new Map() };
}

/** Notes that `id` looks for `term`. */
export function addTerm({ idsByText }: IndexDraft, term: Term, id: number): void {
  let ids = idsByText.get(term.kind);
  if (ids === undefined) {
    ids = new Map();
    idsByText.set(term.kind, ids);
  }
  addId(ids, term.text, id);
}

const NO_IDS: IdsByKey<string> = new Map();

/** Builds the index. @param sets see `createPosting` */
export function buildTermIndex({ idsByText }: IndexDraft, sets: RowSets | undefined): TermIndex {
  const of = (kind: TermKind): IdsByKey<string> => idsByText.get(kind) ?? NO_IDS;
  const [ipv4, ipv6] = buildBlocks(of('block'), sets);
  const prefix = buildPrefixTrie(of('prefix'), sets, of('exact'));
  const built = {
    exact: prefix === undefined ? postingsByKey(of('exact'), sameKey, sets) : undefined,
    prefix,
    suffix: buildSuffixTrie(of('suffix'), sets),
    present: presentPosting(of('present'), sets),
    templates: buildTemplateTrie(of('template'), sets),
    namespaces: buildPrefixTrie(of('namespace'), sets),
    accounts: postingsByKey(of('account'), sameKey, sets),
    everyAccount: everyPosting(of('account'), sets),
    ports: postingsByKey(of('port'), Number, sets),
    ipv4,
    ipv6,
  };
  return { ...built, worst: worstOf(built, of('template')) };
}

function sameKey(text: string): string {
  return text;
}

function postingsByKey<K>(
  idsByText: IdsByKey<string>,
  keyOf: (text: string) => K,
  sets: RowSets | undefined,
): ReadonlyMap<K, Posting> | undefined {
  if (idsByText.size === 0) return undefined;
  return new Map(Array.from(idsByText, ([text, ids]) => [keyOf(text), createPosting(ids, undefined, sets)]));
}

function everyPosting(idsByText: IdsByKey<string>, sets: RowSets | undefined): Posting | undefined {
  return idsByText.size === 0 ? undefined : createPosting([...new Set([...idsByText.values()].flat())], undefined, sets);
}

function presentPosting(idsByText: IdsByKey<string>, sets: RowSets | undefined): Posting | undefined {
  const ids = idsByText.get('');
  return ids === undefined ? undefined : createPosting(ids, undefined, sets);
}

function buildBlocks(idsByText: IdsByKey<string>, sets: RowSets | undefined): [BlockTable | undefined, BlockTable | undefined] {
  const families: [{ block: IpBlock; ids: number[] }[], { block: IpBlock; ids: number[] }[]] = [[], []];
  for (const [text, ids] of idsByText) {
    const block = parseIpBlock(text);
    if (block !== undefined) families[block.words.length === 1 ? 0 : 1].push({ block, ids });
  }
  return [buildBlockTable(families[0], sets), buildBlockTable(families[1], sets)];
}

/** Templates may all fit one path; of the other kinds the longest chain counts. */
function worstOf(built: Omit<TermIndex, 'worst'>, templates: IdsByKey<string>): number {
  let worst = (built.prefix?.worst ?? 0) + (built.suffix?.worst ?? 0) + (built.present?.total ?? 0);
  worst += largest(built.exact) + largest(built.ports) + Math.max(built.ipv4?.worst ?? 0, built.ipv6?.worst ?? 0);
  for (const ids of templates.values()) worst += ids.length;
  // An identity may hold any number of namespaces and accounts; and templates may not all be looked for.
  const isBounded = built.namespaces === undefined && built.accounts === undefined && built.templates?.givesUp !== true;
  return isBounded ? worst : Number.POSITIVE_INFINITY;
}

function largest(postings: ReadonlyMap<unknown, Posting> | undefined): number {
  let most = 0;
  if (postings !== undefined) for (const { total } of postings.values()) most = Math.max(most, total);
  return most;
}

/** What `*` asks of a value, beyond being there. */
export type Presence = 'any' | 'non-empty';

/** Adds what a text hits: exact texts, prefixes, suffixes, presence. */
export function findText(index: TermIndex, text: string, presence: Presence, hits: Hits): void {
  if (index.exact !== undefined) addHit(hits, index.exact.get(text));
  if (index.prefix !== undefined) addHit(hits, index.prefix.find(text, 0));
  if (index.suffix !== undefined) addHit(hits, index.suffix.find(text, 0));
  if (index.present !== undefined && (presence === 'any' || (text !== '' && !text.includes('\n')))) addHit(hits, index.present);
}

/** Adds what a path hits. No path hits nothing. */
export function findPath(index: TermIndex, path: string, hits: Hits): void {
  if (path === '') return;
  findText(index, path, 'non-empty', hits);
  if (index.templates !== undefined) index.templates.find(path, hits);
}

/** Adds the blocks that hold an address. */
export function findAddress(index: TermIndex, address: IpWords | undefined, hits: Hits): void {
  if (address === undefined) return;
  addHit(hits, (address.length === 1 ? index.ipv4 : index.ipv6)?.find(address));
}

/** Adds what a port hits. */
export function findPort(index: TermIndex, port: number, hits: Hits): void {
  addHit(hits, index.ports?.get(port));
}
