/*
 * The edges of a trie in a hash table without buckets. An entry is four numbers side by side, so that one step of a walk touches one
 * line of the cache: the node it leaves (-1: no entry), what it asks for, the node it leads to, and one number more. In: edges.
 * Out: flat arrays, which walks read by themselves. Used by both tries.
 */

/** Numbers of one entry; entries that fall on one place follow each other. */
export const ENTRY = 4;

export interface EdgeTable {
  readonly entries: Int32Array;
  readonly shift: number;
}

/** An empty table, at most half of which the edges of so many nodes will fill. */
export function createEdgeTable(nodes: number): EdgeTable {
  const bits = Math.ceil(Math.log2(nodes)) + 1;
  return { entries: new Int32Array(ENTRY << bits).fill(-1), shift: 32 - bits };
}

/** Where in `entries` the search for an edge begins. */
export function firstPlace(node: number, asked: number, shift: number): number {
  return (Math.imul(Math.imul(node, 0x9e3779b1) ^ asked, 0x85ebca6b) >>> shift) * ENTRY;
}

/** Adds one edge; it may ask for the same as another. */
export function addEdge({ entries, shift }: EdgeTable, edge: readonly [node: number, asked: number, next: number, more?: number]): void {
  let at = firstPlace(edge[0], edge[1], shift);
  while (entries[at] !== -1) at = (at + ENTRY) & (entries.length - 1);
  entries.set(edge as readonly number[], at);
}
