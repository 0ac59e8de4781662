/*
 * A slot in which the evaluator caches what it derives from a verified token. The slot lives as long as the token, so nothing
 * in it is evicted; the owner of the token is notified of the memory that is added.
 */

/** Keeps a verified token in memory. */
export interface TokenOwner {
  /** Notes that the token's notes take `bytes` more. */
  retain(bytes: number): void;
}

/** Belongs to one verified token. Passed in with every request that carries it. */
export interface TokenNotes {
  /** The claims object that the notes are about; ignored for a request whose claims are another object. */
  readonly claims: object;
  readonly owner: TokenOwner | undefined;
  /** Who wrote `kept`. Another evaluator starts over. */
  writer: object | undefined;
  /** Private to the writer. */
  kept: unknown;
}

/** Empty notes on a token with these claims, which must not change afterwards. */
export function createTokenNotes(claims: object, owner?: TokenOwner): TokenNotes {
  return { claims, owner, writer: undefined, kept: undefined };
}
