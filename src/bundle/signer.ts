/*
 * Signs statements with the current signing key, and names what verifies them.
 */
import type { TrustedKeys } from './key-list.ts';
import type { Statement } from './statement.ts';

/** Signs for one cluster. A new value after each change of the keys. */
export interface Signer {
  readonly cluster: string;
  /** ID of the key that signs. */
  readonly kid: string;
  /** Verifies what this signer, and those before it, signed. Its `lines` accompany each statement. */
  readonly keys: TrustedKeys;
  /** IDs of the present root key and all former ones, from which running agents have followed. */
  readonly roots: ReadonlySet<string>;
  /** Public keys of the roots that a new agent trusts, as JSON: see `parseTrustAnchor`. */
  readonly anchor: string;
  /** @returns the statement as a JWS */
  readonly sign: (statement: Omit<Statement, 'cluster'>) => string;
}

/** The number after `last`: about the present time, so that it is higher even than numbers that a restored backup does not know. */
export function nextNumber(last: number, nowMs: number): number {
  return Math.max(last + 1, Math.floor(nowMs));
}
