/*
 * Where the signing keys are kept: a Secret of the release namespace, or a file for `sallyport run`. Keys are created once and replaced
 * only by keys that were made from them: every write fails when another client was faster.
 */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL, SIGNING_KEYS_KEY, SIGNING_KEYS_SECRET } from '../api/kube/names.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { readObject } from '../cluster/objects.ts';
import { apiVersionOf, collectionPath, type ObjectRef, objectPath, SECRETS } from '../cluster/paths.ts';
import { RefusedError, TransientError } from '../errors.ts';
import { replaceFile } from '../replace-file.ts';
import { parseSigningKeys, type SigningKeys } from './signing-keys.ts';

/** Keys as they are stored. */
export interface StoredKeys {
  readonly keys: SigningKeys;
  /** Identifies what was read, for {@link KeyStore.replace}. */
  readonly version: string;
}

/** Reads and writes the keys. Both writes return false, and write nothing, when another client was faster. */
export interface KeyStore {
  /** Undefined: no keys are stored. @throws RefusedError SP_KEYS_INVALID; TransientError */
  readonly read: (signal: AbortSignal) => Promise<StoredKeys | undefined>;
  /** Creates the keys unless there are some. @throws TransientError, RefusedError */
  readonly create: (keys: SigningKeys, signal: AbortSignal) => Promise<boolean>;
  /** Replaces the keys if they are still `version`. @throws TransientError, RefusedError */
  readonly replace: (keys: SigningKeys, version: string, signal: AbortSignal) => Promise<boolean>;
}

/** The keys in the Secret of `namespace`. */
export function secretKeyStore(client: KubeClient, namespace: string): KeyStore {
  const ref: ObjectRef = { resource: SECRETS, namespace, name: SIGNING_KEYS_SECRET };
  const query = { fieldManager: FIELD_MANAGER };
  return {
    read: async (signal) => {
      const secret = await readObject(client, ref, signal);
      return secret === undefined ? undefined : { keys: keysIn(secret), version: secret.metadata?.resourceVersion ?? '' };
    },
    create: (keys, signal) =>
      unlessConflict(
        client.request({ method: 'POST', path: collectionPath(SECRETS, namespace), query, body: secretOf(ref, keys), signal }),
      ),
    replace: (keys, version, signal) =>
      unlessConflict(
        client.request({ method: 'PUT', path: objectPath(ref), query, body: secretOf(ref, keys, { resourceVersion: version }), signal }),
      ),
  };
}

/** The keys in a file that only its owner may read. One process at a time. */
export function fileKeyStore(path: string): KeyStore {
  return {
    read: async () => {
      const text = await readFile(path, 'utf8').catch(absent);
      return text === undefined ? undefined : { keys: parseSigningKeys(text), version: text };
    },
    create: async (keys) => {
      await mkdir(dirname(path), { recursive: true });
      // A link appears with its whole content, or not at all.
      const draft = `${path}.${randomUUID()}`;
      await writeFile(draft, JSON.stringify(keys), { mode: 0o600 });
      const isMade = await link(draft, path).then(() => true, present);
      await rm(draft);
      return isMade;
    },
    replace: async (keys, version) => {
      if ((await readFile(path, 'utf8').catch(absent)) !== version) return false;
      await replaceFile(path, JSON.stringify(keys));
      return true;
    },
  };
}

/** The Secret that holds `keys`. */
export function secretOf({ namespace, name }: Pick<ObjectRef, 'namespace' | 'name'>, keys: SigningKeys, metadata: object = {}): RawObject {
  return {
    apiVersion: apiVersionOf(SECRETS),
    kind: SECRETS.kind,
    metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }), labels: { [MANAGED_BY_LABEL]: MANAGED_BY } },
    type: 'Opaque',
    data: { [SIGNING_KEYS_KEY]: Buffer.from(JSON.stringify(keys)).toString('base64') },
  };
}

/** The keys in a Secret. @throws RefusedError SP_KEYS_INVALID */
export function keysIn(secret: RawObject): SigningKeys {
  const value = ((secret['data'] ?? {}) as Readonly<Record<string, unknown>>)[SIGNING_KEYS_KEY];
  if (typeof value !== 'string') throw new RefusedError('SP_KEYS_INVALID', `the Secret has no ${SIGNING_KEYS_KEY}`);
  return parseSigningKeys(Buffer.from(value, 'base64').toString('utf8'));
}

async function unlessConflict(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    const code = error instanceof TransientError || error instanceof RefusedError ? error.code : undefined;
    // Replaced keys that do not exist any more: the next read finds out.
    if (code === 'SP_KUBE_CONFLICT' || code === 'SP_KUBE_NOT_FOUND') return false;
    throw error;
  }
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

function present(error: unknown): false {
  if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
  throw error;
}
