/*
 * Lists of signing keys. A root key signs the list of the keys that sign statements, and, when it is replaced, a last list that names
 * its successor. The lists travel as lines of one text, oldest first: the successors of a root, then the current list. An agent that trusts
 * any of these roots can follow the lines to the current keys.
 */
import type { KeyObject } from 'node:crypto';
import * as z from 'zod/mini';
import { RefusedError } from '../errors.ts';
import { isCoordinate, type PrivateKey, parseJws, publicKeyOf, requireSignature, signJws, thumbprint } from './jws.ts';

/** Schema of a list. */
export const KEY_LIST_SCHEMA = 'sallyport.dev/keys/v1';
/** Most signing keys of one list. */
export const MAX_SIGNING_KEYS = 8;
/** Most changes of the root key that lists follow. */
export const MAX_ROOT_CHANGES = 16;

/** A signing key and the time during which its signatures are accepted, in milliseconds since the epoch. */
export interface ListedKey {
  /** Public key in base64url. */
  readonly x: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The payload of one list. */
export interface KeyList {
  readonly schema: typeof KEY_LIST_SCHEMA;
  /** UID of the cluster. */
  readonly cluster: string;
  /** Higher than that of every earlier list. */
  readonly number: number;
  /** Empty in a list that names a successor. */
  readonly keys: readonly ListedKey[];
  /** Public key of the root that replaces the signer of this list; absent: none does. */
  readonly nextRoot?: string;
}

/** Keys that statements are verified with, and where they come from. */
export interface TrustedKeys {
  /** Public key of the root that signed the list. */
  readonly root: string;
  readonly number: number;
  /** By key ID. */
  readonly keys: ReadonlyMap<string, ListedKey & { readonly key: KeyObject }>;
  /** The lists as they were read. */
  readonly lines: string;
}

/** What is trusted before lists are read. */
export interface KeyListContext {
  readonly cluster: string;
  /** Public keys of the roots. */
  readonly roots: readonly string[];
  /** The list that was accepted last; an older one is refused, and its root replaces `roots`. Absent: none was. */
  readonly known?: TrustedKeys | undefined;
}

const coordinate = z.string().check(z.refine(isCoordinate));
const time = z.int().check(z.minimum(0));
const keyListSchema: z.ZodMiniType<KeyList> = z
  .strictObject({
    schema: z.literal(KEY_LIST_SCHEMA),
    cluster: z.string(),
    number: z.int().check(z.minimum(1)),
    keys: z.array(z.strictObject({ x: coordinate, notBefore: time, notAfter: time })).check(z.maxLength(MAX_SIGNING_KEYS)),
    nextRoot: z.optional(coordinate),
  })
  .check(z.refine(({ keys }) => new Set(keys.map(({ x }) => x)).size === keys.length)) as z.ZodMiniType<KeyList>;

/** Signs a list with a root key. */
export function signKeyList(list: KeyList, root: PrivateKey): string {
  return signJws('sallyport-keys', list, root);
}

/**
 * Follows the lines of `text` from a trusted root to the current list.
 *
 * @throws RefusedError SP_BUNDLE_KEYS: malformed, not the newest list, or not reached from a trusted root; SP_BUNDLE_FOREIGN: of another
 * cluster; SP_BUNDLE_SIGNATURE
 */
export function acceptKeyLists(text: string, { cluster, roots, known }: KeyListContext): TrustedKeys {
  if (known?.lines === text) return known;
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length > MAX_ROOT_CHANGES + 1) throw refused(`has ${lines.length} lists; at most ${MAX_ROOT_CHANGES + 1} are read`);
  let trusted = known === undefined ? roots : [known.root];
  let current: { readonly root: string; readonly list: KeyList } | undefined;
  for (const line of lines) {
    const jws = parseJws('sallyport-keys', line);
    if (jws === undefined) throw refused('is malformed');
    const root = trusted.find((x) => thumbprint(x) === jws.kid);
    // Lists before the first trusted root are of roots that it replaced.
    if (root === undefined && current === undefined) continue;
    if (root === undefined) throw refused('does not lead from list to list');
    requireSignature(jws, publicKeyOf(root), 'the list of signing keys');
    const list = checkList(jws.payload, cluster);
    current = { root, list };
    trusted = list.nextRoot === undefined ? [] : [list.nextRoot];
  }
  return newest(current, known, text);
}

/** IDs of the root keys that signed the lists. Verifies nothing. */
export function rootIdsOf(lists: readonly string[]): readonly string[] {
  return lists.flatMap((list) => parseJws('sallyport-keys', list)?.kid ?? []);
}

function newest(
  current: { readonly root: string; readonly list: KeyList } | undefined,
  known: TrustedKeys | undefined,
  lines: string,
): TrustedKeys {
  if (current === undefined) throw new RefusedError('SP_BUNDLE_SIGNATURE', 'no list of signing keys is signed by a trusted root key');
  const { root, list } = current;
  if (list.nextRoot !== undefined) throw refused('ends before the list of the newest root key');
  if (known !== undefined && list.number < known.number)
    throw refused(`has number ${list.number}, lower than ${known.number}, which was accepted before`);
  const keys = new Map(list.keys.map((key) => [thumbprint(key.x), { ...key, key: publicKeyOf(key.x) }]));
  return { root, number: list.number, keys, lines };
}

function checkList(payload: unknown, cluster: string): KeyList {
  const parsed = keyListSchema.safeParse(payload);
  if (!parsed.success) throw refused('has an unknown form');
  if (parsed.data.cluster !== cluster)
    throw new RefusedError('SP_BUNDLE_FOREIGN', `the list of signing keys is for cluster ${parsed.data.cluster}, not for ${cluster}`);
  return parsed.data;
}

function refused(problem: string): RefusedError {
  return new RefusedError('SP_BUNDLE_KEYS', `the list of signing keys ${problem}`);
}
