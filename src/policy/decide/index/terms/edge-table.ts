/*
 * The edges of a trie in a hash table with open addressing. An entry is four adjacent numbers, so that one step of a walk reads one
 * cache line: the source node (-1: no entry), the label, the target node, and one number of extra data. Walks read the array directly.
 */

/** Numbers per entry. Colliding entries follow each other. */
export const ENTRY = 4;

/** Edges in a flat array; see {@link firstPlace} for how to find one. */
export interface EdgeTable {
  readonly entries: Int32Array;
  readonly shift: number;
}

/** An empty table for the edges of this many nodes, which fill at most half of it. */
export function createEdgeTable(nodes: number): EdgeTable {
  const bits = Math.ceil(Math.log2(nodes)) + 1;
  return { entries: new Int32Array(ENTRY << bits).fill(-1), shift: 32 - bits };
}

/** Index in `entries` where the search for an edge starts. */
export function firstPlace(node: number, label: number, shift: number): number {
  return (Math.imul(Math.imul(node, 0x9e3779b1) ^ label, 0x85ebca6b) >>> shift) * ENTRY;
}

/** Adds one edge; several edges of a node may have the same label. */
export function addEdge({ entries, shift }: EdgeTable, edge: readonly [node: number, label: number, next: number, extra?: number]): void {
  let at = firstPlace(edge[0], edge[1], shift);
  while (entries[at] !== -1) at = (at + ENTRY) & (entries.length - 1);
  entries.set(edge as readonly number[], at);
}
