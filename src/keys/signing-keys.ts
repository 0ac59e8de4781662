/*
 * The private keys of one installation as one document: made once, changed only by rotation. Pure: time and randomness apart, which
 * node:crypto provides, nothing here reads or writes anything.
 */
import { generateKeyPairSync } from 'node:crypto';
import * as z from 'zod/mini';
import { isCoordinate, privateKeyOf, thumbprint } from '../bundle/jws.ts';
import {
  acceptKeyLists,
  KEY_LIST_SCHEMA,
  type KeyList,
  type ListedKey,
  MAX_ROOT_CHANGES,
  MAX_SIGNING_KEYS,
  rootIdsOf,
  signKeyList,
} from '../bundle/key-list.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { signStatement } from '../bundle/statement.ts';
import { formatTrustAnchor } from '../bundle/trust-anchor.ts';
import { RefusedError } from '../errors.ts';

/** A private Ed25519 key; both members in base64url. */
export interface KeyPair {
  readonly x: string;
  readonly d: string;
}

/** All keys of an installation, as they are stored. */
export interface SigningKeys {
  readonly schema: typeof SIGNING_KEYS_SCHEMA;
  /** UID of the cluster. */
  readonly cluster: string;
  readonly root: KeyPair;
  /** Oldest first; the last one signs. Never empty. The private part of a key that does not sign any more is dropped. */
  readonly keys: readonly (ListedKey & { readonly d?: string })[];
  /** Number of the newest list. */
  readonly number: number;
  /** Lists in which each former root names its successor, oldest first. */
  readonly successions: readonly string[];
  /** IDs of the former root keys before those. Absent: no more than those. */
  readonly formerRoots?: readonly string[];
}

/** Schema of the document. */
export const SIGNING_KEYS_SCHEMA = 'sallyport.dev/signing-keys/v1';
const MAX_FORMER_ROOTS = 1_000;
const DAY_MS = 86_400_000;
/** A signing key is replaced at this age. */
export const ROTATION_AGE_MS: number = 30 * DAY_MS;
/** Signatures of a key are accepted for this long: a controller may be away for two months before new agents refuse its bundles. */
export const KEY_VALIDITY_MS: number = 90 * DAY_MS;
/** For clocks of nodes that are behind. */
const CLOCK_SKEW_MS = 5 * 60_000;

const coordinate = z.string().check(z.refine(isCoordinate));
const time = z.int().check(z.minimum(0));
const schema: z.ZodMiniType<SigningKeys> = z.strictObject({
  schema: z.literal(SIGNING_KEYS_SCHEMA),
  cluster: z.string().check(z.minLength(1)),
  root: z.strictObject({ x: coordinate, d: coordinate }),
  keys: z
    .array(z.strictObject({ x: coordinate, d: z.optional(coordinate), notBefore: time, notAfter: time }))
    .check(z.minLength(1), z.maxLength(MAX_SIGNING_KEYS)),
  number: z.int().check(z.minimum(1)),
  successions: z.array(z.string()).check(z.maxLength(MAX_ROOT_CHANGES)),
  formerRoots: z.optional(z.array(coordinate).check(z.maxLength(MAX_FORMER_ROOTS))),
}) as z.ZodMiniType<SigningKeys>;

/** New keys for a cluster. */
export function mintKeys(cluster: string, nowMs: number): SigningKeys {
  return {
    schema: SIGNING_KEYS_SCHEMA,
    cluster,
    root: newKeyPair(),
    keys: [newSigningKey(nowMs)],
    number: nextNumber(0, nowMs),
    successions: [],
  };
}

/** Parses stored keys. @throws RefusedError SP_KEYS_INVALID */
export function parseSigningKeys(text: string): SigningKeys {
  const parsed = schema.safeParse(jsonOf(text));
  if (!parsed.success) throw new RefusedError('SP_KEYS_INVALID', 'not a document of signing keys');
  const keys = parsed.data;
  try {
    signerOf(keys);
  } catch (error) {
    throw new RefusedError('SP_KEYS_INVALID', 'the signing keys do not fit together', { cause: error });
  }
  return keys;
}

/** When the current signing key is to be replaced, in milliseconds since the epoch. */
export function rotationDueMs(keys: SigningKeys, ageMs: number = ROTATION_AGE_MS): number {
  return (keys.keys.at(-1)?.notBefore ?? 0) + CLOCK_SKEW_MS + ageMs;
}

/** The keys with another signing key. Signatures of the former ones are accepted until they expire. */
export function rotateSigningKey(keys: SigningKeys, nowMs: number): SigningKeys {
  const former = keys.keys.filter(({ notAfter }) => notAfter > nowMs).map(({ x, notBefore, notAfter }) => ({ x, notBefore, notAfter }));
  return { ...keys, keys: [...former.slice(1 - MAX_SIGNING_KEYS), newSigningKey(nowMs)], number: nextNumber(keys.number, nowMs) };
}

/** The keys with another root key, which the present one signs, and another signing key. */
export function rotateRoot(keys: SigningKeys, nowMs: number): SigningKeys {
  const root = newKeyPair();
  const number = nextNumber(keys.number, nowMs);
  const succession = signKeyList({ ...emptyList(keys.cluster, number), nextRoot: root.x }, privateKeyOf(keys.root));
  const all = [...keys.successions, succession];
  const successions = all.slice(-MAX_ROOT_CHANGES);
  const formerRoots = [...(keys.formerRoots ?? []), ...rootIdsOf(all.slice(0, -MAX_ROOT_CHANGES))].slice(-MAX_FORMER_ROOTS);
  return rotateSigningKey({ ...keys, root, number, successions, ...(formerRoots.length === 0 ? {} : { formerRoots }) }, nowMs);
}

/** The keys for another cluster, after a restore. Its pods are new and trust the present root key. */
export function moveToCluster(keys: SigningKeys, cluster: string, nowMs: number): SigningKeys {
  if (keys.cluster === cluster) return keys;
  const { formerRoots: _formerRoots, ...rest } = keys;
  return { ...rest, cluster, number: nextNumber(keys.number, nowMs), successions: [] };
}

/** Signs with the last key. */
export function signerOf(keys: SigningKeys): Signer {
  const { cluster, root, number } = keys;
  const last = keys.keys.at(-1);
  if (last?.d === undefined) throw new RefusedError('SP_KEYS_INVALID', 'the last signing key has no private part');
  const key = privateKeyOf({ x: last.x, d: last.d });
  const listed = keys.keys.map(({ x, notBefore, notAfter }) => ({ x, notBefore, notAfter }));
  const list = signKeyList({ ...emptyList(cluster, number), keys: listed }, privateKeyOf(root));
  const lists = [...keys.successions, list];
  const lines = lists.join('\n');
  return {
    cluster,
    kid: key.kid,
    keys: acceptKeyLists(lines, { cluster, roots: [root.x] }),
    roots: new Set([...(keys.formerRoots ?? []), ...rootIdsOf(lists)]),
    anchor: formatTrustAnchor({ cluster, roots: [root.x] }),
    sign: (statement) => signStatement({ ...statement, cluster }, key),
  };
}

/** Key ID of the root. */
export function rootId({ root }: SigningKeys): string {
  return thumbprint(root.x);
}

function emptyList(cluster: string, number: number): KeyList {
  return { schema: KEY_LIST_SCHEMA, cluster, number, keys: [] };
}

function newSigningKey(nowMs: number): SigningKeys['keys'][number] {
  return { ...newKeyPair(), notBefore: Math.max(0, nowMs - CLOCK_SKEW_MS), notAfter: nowMs + KEY_VALIDITY_MS };
}

function newKeyPair(): KeyPair {
  const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { x: x ?? '', d: d ?? '' };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
