/*
 * The syntax tree of a source file, as far as the checks read it.
 */

/** A node of the tree that `oxc-parser` returns. */
export interface Node {
  readonly type: string;
  /** Offsets in the source file. */
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Whether a member of a node is a node, and not a list, a value or a missing part. */
export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
