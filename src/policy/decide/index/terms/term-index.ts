/*
 * Indexes all terms of one axis: hash maps for exact strings, tries for prefixes and suffixes, ranges for CIDR blocks, a trie by
 * segments for path templates. Looking up a value gives the postings that it hits.
 */
import { doSteps, type Steps } from '../../../../steps.ts';
import { type IpBlock, type IpWords, parseIpBlock } from '../../../match/ip-block.ts';
import { type BlockTable, buildBlockTable } from './block-table.ts';
import { addHit, addId, createPosting, type Hits, type IdSets, type IdsByKey, type Posting } from './posting.ts';
import { buildPrefixTrie, buildSuffixTrie, type StringTrie } from './string-trie.ts';
import { buildTemplateTrie, type TemplateTrie } from './template-trie.ts';
import type { Term, TermKind } from './term.ts';

/** An index under construction. */
export interface IndexDraft {
  readonly idsByValue: Map<TermKind, IdsByKey<string>>;
}

/** The index of one axis. Each member is `undefined` when the axis has no such terms. */
export interface TermIndex {
  /** Also `undefined` when the exact strings are in `prefix`. */
  readonly exact: ReadonlyMap<string, Posting> | undefined;
  /** Holds the exact strings, too, so that one walk finds both. */
  readonly prefix: StringTrie | undefined;
  readonly suffix: StringTrie | undefined;
  readonly present: Posting | undefined;
  readonly templates: TemplateTrie | undefined;
  readonly namespaces: StringTrie | undefined;
  readonly accounts: ReadonlyMap<string, Posting> | undefined;
  /** The ids of all `accounts`. */
  readonly everyAccount: Posting | undefined;
  readonly ports: ReadonlyMap<number, Posting> | undefined;
  readonly ipv4: BlockTable | undefined;
  readonly ipv6: BlockTable | undefined;
  /** Largest number of ids that one value can hit. */
  readonly worst: number;
}

/** An empty index under construction. */
export function createIndexDraft(): IndexDraft {
  return { idsByValue: new Map() };
}

/** Adds `id` under `term`; ids must be added in ascending order. */
export function addTerm({ idsByValue }: IndexDraft, term: Term, id: number): void {
  let ids = idsByValue.get(term.kind);
  if (ids === undefined) {
    ids = new Map();
    idsByValue.set(term.kind, ids);
  }
  addId(ids, term.value, id);
}

const NO_IDS: IdsByKey<string> = new Map();
const VALUES_PER_STEP = 256;

/** Builds the index. @param sets see `createPosting` */
export function buildTermIndex(draft: IndexDraft, sets: IdSets | undefined): TermIndex {
  return doSteps(buildTermIndexInSteps(draft, sets));
}

/** The same in steps. */
export function* buildTermIndexInSteps({ idsByValue }: IndexDraft, sets: IdSets | undefined): Steps<TermIndex> {
  const of = (kind: TermKind): IdsByKey<string> => idsByValue.get(kind) ?? NO_IDS;
  const [ipv4, ipv6] = yield* buildBlocks(of('block'), sets);
  const prefix = yield* buildPrefixTrie(of('prefix'), sets, of('exact'));
  const built = {
    exact: prefix === undefined ? yield* postingsByKey(of('exact'), unchanged, sets) : undefined,
    prefix,
    suffix: yield* buildSuffixTrie(of('suffix'), sets),
    present: presentPosting(of('present'), sets),
    templates: yield* buildTemplateTrie(of('template'), sets),
    namespaces: yield* buildPrefixTrie(of('namespace'), sets),
    accounts: yield* postingsByKey(of('account'), unchanged, sets),
    everyAccount: everyPosting(of('account'), sets),
    ports: yield* postingsByKey(of('port'), Number, sets),
    ipv4,
    ipv6,
  };
  yield;
  return { ...built, worst: worstOf(built, of('template')) };
}

function unchanged(value: string): string {
  return value;
}

function* postingsByKey<K>(
  idsByValue: IdsByKey<string>,
  keyOf: (value: string) => K,
  sets: IdSets | undefined,
): Steps<ReadonlyMap<K, Posting> | undefined> {
  if (idsByValue.size === 0) return undefined;
  const postings = new Map<K, Posting>();
  for (const [value, ids] of idsByValue) {
    postings.set(keyOf(value), createPosting(ids, undefined, sets));
    if (postings.size % VALUES_PER_STEP === 0) yield;
  }
  return postings;
}

function everyPosting(idsByValue: IdsByKey<string>, sets: IdSets | undefined): Posting | undefined {
  return idsByValue.size === 0 ? undefined : createPosting([...new Set([...idsByValue.values()].flat())], undefined, sets);
}

function presentPosting(idsByValue: IdsByKey<string>, sets: IdSets | undefined): Posting | undefined {
  const ids = idsByValue.get('');
  return ids === undefined ? undefined : createPosting(ids, undefined, sets);
}

function* buildBlocks(idsByValue: IdsByKey<string>, sets: IdSets | undefined): Steps<[BlockTable | undefined, BlockTable | undefined]> {
  const families: [{ block: IpBlock; ids: number[] }[], { block: IpBlock; ids: number[] }[]] = [[], []];
  let parsed = 0;
  for (const [value, ids] of idsByValue) {
    const block = parseIpBlock(value);
    if (block !== undefined) families[block.words.length === 1 ? 0 : 1].push({ block, ids });
    parsed += 1;
    if (parsed % VALUES_PER_STEP === 0) yield;
  }
  return [yield* buildBlockTable(families[0], sets), yield* buildBlockTable(families[1], sets)];
}

/** All templates may match one path; of the other kinds the longest chain counts. */
function worstOf(built: Omit<TermIndex, 'worst'>, templates: IdsByKey<string>): number {
  let worst = (built.prefix?.worst ?? 0) + (built.suffix?.worst ?? 0) + (built.present?.total ?? 0);
  worst += largest(built.exact) + largest(built.ports) + Math.max(built.ipv4?.worst ?? 0, built.ipv6?.worst ?? 0);
  for (const ids of templates.values()) worst += ids.length;
  // An identity may contain any number of namespaces and accounts; and the search for templates may give up.
  const isBounded = built.namespaces === undefined && built.accounts === undefined && built.templates?.givesUp !== true;
  return isBounded ? worst : Number.POSITIVE_INFINITY;
}

function largest(postings: ReadonlyMap<unknown, Posting> | undefined): number {
  let most = 0;
  if (postings !== undefined) for (const { total } of postings.values()) most = Math.max(most, total);
  return most;
}

/** What `*` requires of a value besides its presence. */
export type Presence = 'any' | 'non-empty';

/** Adds what a string hits: exact strings, prefixes, suffixes, presence. */
export function findString(index: TermIndex, value: string, presence: Presence, hits: Hits): void {
  if (index.exact !== undefined) addHit(hits, index.exact.get(value));
  if (index.prefix !== undefined) addHit(hits, index.prefix.find(value, 0));
  if (index.suffix !== undefined) addHit(hits, index.suffix.find(value, 0));
  if (index.present !== undefined && (presence === 'any' || (value !== '' && !value.includes('\n')))) addHit(hits, index.present);
}

/** Adds what a path hits; an empty path (CONNECT) hits nothing. */
export function findPath(index: TermIndex, path: string, hits: Hits): void {
  if (path === '') return;
  findString(index, path, 'non-empty', hits);
  if (index.templates !== undefined) index.templates.find(path, hits);
}

/** Adds the blocks that contain an address; `undefined`, which is not an address, hits nothing. */
export function findAddress(index: TermIndex, address: IpWords | undefined, hits: Hits): void {
  if (address === undefined) return;
  addHit(hits, (address.length === 1 ? index.ipv4 : index.ipv6)?.find(address));
}

/** Adds what a port hits. */
export function findPort(index: TermIndex, port: number, hits: Hits): void {
  addHit(hits, index.ports?.get(port));
}
