/*
 * A place to keep what was found out about a verified token, which lives and dies with the token. In: the token's claims. Out: a
 * slot that the evaluator fills. Made once per verified token, by whoever keeps it.
 */

/** Belongs to one verified token, and is handed in with every request that carries it. */
export interface TokenNotes {
  /** The very object of claims that the notes are about; a request with another one makes no use of them. */
  readonly claims: object;
  /** Who wrote the notes; another evaluator begins anew. */
  writer: object | undefined;
  /** What the writer keeps: nobody else can read it. */
  kept: unknown;
}

/** Empty notes on a token with these claims, which must not change afterwards. */
export function createTokenNotes(claims: object): TokenNotes {
  return { claims, writer: undefined, kept: undefined };
}
