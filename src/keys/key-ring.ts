/*
 * The signing keys that this process uses now. They are read again and again, so that every replica follows a rotation or a restored
 * backup. Keys are made only where none can be missing: neither has this process seen any, nor do signed bundles exist. Bundles that an
 * earlier installation left block new keys only until they are deleted.
 */
import type { Signer } from '../bundle/signer.ts';
import { type Clock, sleep } from '../clock.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { KeyStore, StoredKeys } from './key-store.ts';
import { mintKeys, moveToCluster, ROTATION_AGE_MS, rotateSigningKey, rotationDueMs, signerOf } from './signing-keys.ts';

/**
 * `waiting`: not known yet. `missing`: signed bundles exist and keys do not, so that nothing may be published until they are restored.
 * `invalid`: they cannot be used.
 */
export type KeyState =
  | { readonly kind: 'ready'; readonly signer: Signer }
  | { readonly kind: 'waiting' | 'missing' | 'invalid'; readonly message: string };

/** Parts and settings of a key ring. */
export interface KeyRingOptions {
  readonly store: KeyStore;
  /** Reads the UID of the cluster. @throws TransientError */
  readonly cluster: (signal: AbortSignal) => Promise<string>;
  /** Whether signed bundles exist; undefined: not known yet. */
  readonly hasBundles: () => boolean | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Age at which a signing key is replaced, in milliseconds; absent: 30 days. */
  readonly rotationAgeMs?: number;
  /** Time between two reads in milliseconds; absent: 10 seconds. */
  readonly refreshMs?: number;
}

/** The present keys. */
export interface KeyRing {
  readonly state: () => KeyState;
  /** Undefined: nothing can be signed. */
  readonly signer: () => Signer | undefined;
  /** Calls `listener` after each change. @returns a function that ends the subscription */
  readonly subscribe: (listener: () => void) => () => void;
  /** Reads the keys, and makes, moves or rotates them when it is time. Never rejects. */
  readonly refresh: (signal: AbortSignal) => Promise<void>;
  /** Refreshes until `signal` aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

const MISSING =
  'the signing keys are missing although signed bundles exist: restore the Secret from a backup with `sallyport keys restore`, or make new keys with `sallyport keys reset`';

/** A key ring that knows nothing before {@link KeyRing.refresh}. */
export function createKeyRing(options: KeyRingOptions): KeyRing {
  const { logger, clock } = options;
  const listeners = new Set<() => void>();
  let state: KeyState = { kind: 'waiting', message: 'the signing keys are not read yet' };
  let version: string | undefined;
  let hasHadKeys = false;

  const become = (next: KeyState, nextVersion?: string): void => {
    const isSame =
      next.kind === 'ready' ? nextVersion === version : next.kind === state.kind && next.message === (state as typeof next).message;
    version = nextVersion;
    if (isSame) return;
    state = next;
    hasHadKeys ||= next.kind === 'ready';
    if (next.kind === 'ready') logger.info({ kid: next.signer.kid, cluster: next.signer.cluster }, 'signing keys read');
    else
      logger.error(
        { code: next.kind === 'missing' ? 'SP_KEYS_MISSING' : 'SP_KEYS_INVALID', reason: next.message },
        'signing keys cannot be used',
      );
    for (const listener of listeners) listener();
  };
  const refresh = async (signal: AbortSignal): Promise<void> => {
    try {
      const stored = await readOrCreate(options, hasHadKeys, signal);
      if (stored === undefined) {
        if (hasHadKeys || options.hasBundles() === true) become({ kind: 'missing', message: MISSING });
        return;
      }
      const current = await maintain(options, stored, signal);
      become({ kind: 'ready', signer: signerOf(current.keys) }, current.version);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof RefusedError && error.code === 'SP_KEYS_INVALID') become({ kind: 'invalid', message: error.message });
      else logger.warn({ err: error }, 'signing keys not read; those known stay in use');
    }
  };
  return {
    state: () => state,
    signer: () => (state.kind === 'ready' ? state.signer : undefined),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refresh,
    run: async (signal) => {
      while (!signal.aborted) {
        await refresh(signal);
        await sleep(clock, state.kind === 'ready' ? (options.refreshMs ?? 10_000) : 1_000, signal);
      }
    },
  };
}

async function readOrCreate(options: KeyRingOptions, hasHadKeys: boolean, signal: AbortSignal): Promise<StoredKeys | undefined> {
  const { store } = options;
  const stored = await store.read(signal);
  if (stored !== undefined || hasHadKeys || options.hasBundles() !== false) return stored;
  const isMade = await store.create(mintKeys(await options.cluster(signal), options.clock.wallMs()), signal);
  if (isMade) options.logger.info({}, 'signing keys made');
  // Also when another replica was faster.
  return store.read(signal);
}

/** Moves keys that a backup brought from another cluster, and rotates old ones. */
async function maintain(options: KeyRingOptions, stored: StoredKeys, signal: AbortSignal): Promise<StoredKeys> {
  const { store, clock, rotationAgeMs = ROTATION_AGE_MS } = options;
  const nowMs = clock.wallMs();
  let keys = moveToCluster(stored.keys, await options.cluster(signal), nowMs);
  if (rotationDueMs(keys, rotationAgeMs) <= nowMs) keys = rotateSigningKey(keys, nowMs);
  if (keys === stored.keys) return stored;
  const isReplaced = await store.replace(keys, stored.version, signal);
  if (isReplaced) options.logger.info({ number: keys.number }, 'signing keys replaced');
  const current = await store.read(signal);
  if (current === undefined) throw new RefusedError('SP_KEYS_INVALID', 'the signing keys were removed while they were replaced');
  return current;
}
