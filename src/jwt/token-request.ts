/*
 * The part of a request that token handling reads and edits.
 */
import type { MutableHeaderList } from '../http/header-list.ts';

/** A request after normalization; the filter chain forwards what is left of it. */
export interface TokenRequest {
  readonly method: string;
  readonly scheme: string;
  readonly host: string;
  /** Normalized path with query. */
  target: string;
  /** Lower-case names. */
  headers: MutableHeaderList;
}
