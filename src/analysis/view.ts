/*
 * How a filter reads a request: which token's claims it sees, and which headers differ from those that the client sent.
 */
import { type AttributeKey, sentKey, type TokenSlot } from './attribute-key.ts';

/** What a filter sees of a request. */
export interface View {
  /** The token whose claims it sees. */
  readonly slot: TokenSlot;
  /** The token from which it sees a top-level claim: another one than `slot` where the two sides split the claim differently. */
  readonly slotOf: (claim: string) => TokenSlot;
  /** The attribute that is the value of a header or pseudo header; undefined: no request has the header. @param name in lower case */
  readonly keyOf: (name: string) => AttributeKey | undefined;
}

/** The view of a filter before the JWT rules: CUSTOM. */
export const SENT: View = viewOfSent(undefined);

const FIRST: View = viewOfSent(0);
const SECOND: View = viewOfSent(1);

/** A view of the headers that the client sent, with the claims of a token. */
export function sentView(slot: TokenSlot): View {
  if (slot === undefined) return SENT;
  return slot === 0 ? FIRST : SECOND;
}

function viewOfSent(slot: TokenSlot): View {
  return { slot, slotOf: () => slot, keyOf: sentKey };
}
