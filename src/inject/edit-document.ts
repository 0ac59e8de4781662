/*
 * Changes in a YAML document that leave alone what did not change. In: the document, and a value before and after. Out: the
 * document edited in place, with the comments, order and style of everything else kept. Called by inject-manifest.
 */
import { type Document, isCollection, isMap, isScalar, isSeq, type Node, type YAMLMap, type YAMLSeq } from 'yaml';
import { isRaw, stringOf } from './raw-json.ts';

/** Makes the value at `path` be `after`. Entries of lists are known again by their `name`. */
export function editDocument(document: Document, path: readonly (string | number)[], after: unknown): void {
  const node = document.getIn(path, true) as Node | undefined;
  const edited = editNode(document, node, after);
  if (edited !== node) document.setIn(path, edited);
}

/** The node that stands for `after`: `node` itself, edited, wherever that is possible. */
function editNode(document: Document, node: Node | undefined, after: unknown): Node {
  if (isMap(node) && isRaw(after)) return editMap(document, node, after);
  if (isSeq(node) && Array.isArray(after)) return editSeq(document, node, after);
  if (isScalar(node) && node.value === after) return node;
  // An alias ends here too: what it stands for may stand elsewhere as well, and must not change there.
  return create(document, after);
}

/** A fresh node; equal parts are written out each time, not as anchor and alias. */
function create(document: Document, value: unknown): Node {
  return document.createNode(value, { aliasDuplicateObjects: false });
}

function editMap(document: Document, map: YAMLMap, after: Readonly<Record<string, unknown>>): Node {
  // A map with a merge key keeps part of its fields elsewhere; it is written out anew.
  if (map.items.some((pair) => isScalar(pair.key) && pair.key.source === '<<')) return create(document, after);
  for (const key of map.items.map((pair) => (isScalar(pair.key) ? pair.key.value : pair.key))) {
    if (typeof key === 'string' && !(key in after)) map.delete(key);
  }
  for (const [key, value] of Object.entries(after)) {
    const before = map.get(key, true) as Node | undefined;
    const edited = editNode(document, before, value);
    if (edited !== before) map.set(key, edited);
  }
  unfold(
    map,
    map.items.map((pair) => pair.value),
  );
  return map;
}

function editSeq(document: Document, seq: YAMLSeq, after: readonly unknown[]): Node {
  const named = new Map<string, Node>();
  for (const item of seq.items) {
    if (isMap(item) && typeof item.get('name') === 'string') named.set(String(item.get('name')), item);
  }
  const isNamed = after.every((value) => isRaw(value) && stringOf(value['name']) !== undefined);
  seq.items = after.map((value, at) => {
    const before = isNamed && isRaw(value) ? named.get(stringOf(value['name']) ?? '') : (seq.items[at] as Node | undefined);
    return editNode(document, before, value);
  });
  unfold(seq, seq.items);
  return seq;
}

/** One line in braces is for little things; what injection adds is written as a block, and so is all around it. */
function unfold(collection: YAMLMap | YAMLSeq, children: readonly unknown[]): void {
  if (collection.flow === true && children.some((child) => isCollection(child) && child.flow !== true)) collection.flow = false;
}
