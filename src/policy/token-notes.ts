/*
 * A slot in which the evaluator caches what it derives from a verified token. The slot lives as long as the token, so the cache needs
 * no eviction.
 */

/** Belongs to one verified token. Passed in with every request that carries it. */
export interface TokenNotes {
  /** The claims object that the notes are about; ignored for a request whose claims are another object. */
  readonly claims: object;
  /** Who wrote `kept`. Another evaluator starts over. */
  writer: object | undefined;
  /** Private to the writer. */
  kept: unknown;
}

/** Empty notes on a token with these claims, which must not change afterwards. */
export function createTokenNotes(claims: object): TokenNotes {
  return { claims, writer: undefined, kept: undefined };
}
