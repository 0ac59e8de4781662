/*
 * Edits a YAML document in place so that it has a new value, and keeps comments, order and style of everything unchanged.
 */
import { type Document, isCollection, isMap, isScalar, isSeq, type Node, type YAMLMap, type YAMLSeq } from 'yaml';
import { isRaw, stringOf } from './raw-json.ts';

/** Changes the value at `path` to `after`. Elements of arrays are matched by their `name`. */
export function editDocument(document: Document, path: readonly (string | number)[], after: unknown): void {
  const node = document.getIn(path, true) as Node | undefined;
  const edited = editNode(document, node, after);
  if (edited !== node) document.setIn(path, edited);
}

/** A node with the value `after`: the edited `node` itself if possible. */
function editNode(document: Document, node: Node | undefined, after: unknown): Node {
  if (isMap(node) && isRaw(after)) return editMap(document, node, after);
  if (isSeq(node) && Array.isArray(after)) return editSeq(document, node, after);
  if (isScalar(node) && node.value === after) return node;
  // Also replaces an alias, because its anchor may have other aliases, whose value must not change.
  return create(document, after);
}

/** A new node. Equal parts are repeated instead of written as anchor and alias. */
function create(document: Document, value: unknown): Node {
  return document.createNode(value, { aliasDuplicateObjects: false });
}

function editMap(document: Document, map: YAMLMap, after: Readonly<Record<string, unknown>>): Node {
  // A map with a merge key has fields from elsewhere, so it is replaced by a complete one.
  if (map.items.some((pair) => isScalar(pair.key) && pair.key.source === '<<')) return create(document, after);
  for (const key of map.items.map((pair) => (isScalar(pair.key) ? pair.key.value : pair.key))) {
    if (typeof key === 'string' && !(key in after)) map.delete(key);
  }
  for (const [key, value] of Object.entries(after)) {
    const before = map.get(key, true) as Node | undefined;
    const edited = editNode(document, before, value);
    if (edited !== before) map.set(key, edited);
  }
  useBlockStyle(
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
  useBlockStyle(seq, seq.items);
  return seq;
}

/** Changes a collection from flow to block style if it contains a block collection, which injection adds. */
function useBlockStyle(collection: YAMLMap | YAMLSeq, children: readonly unknown[]): void {
  if (collection.flow === true && children.some((child) => isCollection(child) && child.flow !== true)) collection.flow = false;
}
