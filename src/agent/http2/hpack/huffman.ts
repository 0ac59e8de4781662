/*
 * Decodes strings in HPACK's Huffman code (RFC 7541 section 5.2). The code is canonical: the lengths of appendix B determine it. A table
 * built from them consumes four bits at a time.
 */

/** Bits of the code of each byte, and of the end of the string. */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const END_OF_STRING = 256;
/** The longest code. */
const BITS = 30;
const NODES = 256;
const FAILURE = 0xffff;

/** For node and four bits: the next node; {@link FAILURE} when the bits complete the end of the string. */
const NEXT = new Uint16Array(NODES * 16);
/** For node and four bits: the byte that they complete; -1: none. Codes have at least five bits, so there is at most one. */
const BYTE = new Int16Array(NODES * 16).fill(-1);
/** Nodes at which a string may end: after fewer than eight bits, all of them 1. */
const MAY_END = new Uint8Array(NODES);

let isBuilt = false;

/** For the first string that needs it: an agent without clients that speak HTTP/2 starts without it. */
function build(): void {
  isBuilt = true;
  // Children of each node: a node at 0 to 255, or a symbol as -1 - symbol.
  const children = new Int16Array(NODES * 2);
  let nodes = 1;
  let code = 0;
  for (let bits = 1; bits <= BITS; bits += 1) {
    code *= 2;
    for (let symbol = 0; symbol <= END_OF_STRING; symbol += 1) {
      if (LENGTHS[symbol] !== bits) continue;
      let node = 0;
      for (let bit = bits - 1; bit > 0; bit -= 1) {
        const at = node * 2 + ((code >>> bit) & 1);
        if (children[at] === 0) {
          children[at] = nodes;
          nodes += 1;
        }
        node = children[at] ?? 0;
      }
      children[node * 2 + (code & 1)] = -1 - symbol;
      code += 1;
    }
  }
  for (let node = 0; node < NODES; node += 1) for (let nibble = 0; nibble < 16; nibble += 1) step(children, node, nibble);
  let node = 0;
  for (let ones = 0; ones < 8; ones += 1) {
    MAY_END[node] = 1;
    node = children[node * 2 + 1] ?? 0;
  }
}

function step(children: Int16Array, from: number, nibble: number): void {
  const at = from * 16 + nibble;
  let node = from;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const child = children[node * 2 + ((nibble >> bit) & 1)] ?? 0;
    if (child >= 0) node = child;
    else if (child === -1 - END_OF_STRING) {
      NEXT[at] = FAILURE;
      return;
    } else {
      BYTE[at] = -1 - child;
      node = 0;
    }
  }
  NEXT[at] = node;
}

/**
 * Decodes `source[start, end)` into `target`, which must hold 8 bytes for each 5 of them.
 * @returns number of bytes written; -1: the string is malformed (RFC 7541 section 5.2: padding, or the end of the string within it)
 */
export function decodeHuffman(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  if (!isBuilt) build();
  let node = 0;
  let written = 0;
  for (let at = start; at < end; at += 1) {
    const byte = source[at] as number;
    const high = node * 16 + (byte >> 4);
    node = NEXT[high] as number;
    if (node === FAILURE) return -1;
    if (BYTE[high] !== -1) {
      target[written] = BYTE[high] as number;
      written += 1;
    }
    const low = node * 16 + (byte & 15);
    node = NEXT[low] as number;
    if (node === FAILURE) return -1;
    if (BYTE[low] !== -1) {
      target[written] = BYTE[low] as number;
      written += 1;
    }
  }
  return MAY_END[node] === 1 ? written : -1;
}
