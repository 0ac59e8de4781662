/*
 * The part of a request that token handling reads and edits.
 */
import type { MutableHeaderList } from '../http/header-list.ts';
import type { PseudoHeader } from '../policy/pseudo-headers.ts';

/** A request after normalization; the filter chain forwards what is left of it. */
export interface TokenRequest {
  readonly method: string;
  readonly scheme: string;
  readonly host: string;
  /** Normalized path with query. */
  target: string;
  /** Lower-case names. */
  headers: MutableHeaderList;
  /** Set when a token was removed from the query. */
  isRewritten: boolean;
  /** Values of every instance of a header, pseudo headers and `host` included; empty when absent. */
  headerValues(name: string): readonly string[];
  /** Removes a pseudo header, or Host, which held a token or which only a token may set. */
  removePseudoHeader(name: PseudoHeader): void;
}
