/*
 * Where a field is in a file. In: the file's text, the object it is about and a finding's path. Out: line and column, of the
 * deepest part of the path that is there. Called when findings are shown; text is parsed anew, for findings are few.
 */
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import type { ManifestObject } from '../../sources/manifests.ts';

/** Both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * Line and column of `path` within `item`.
 *
 * @param path as in `Finding.path`; keys with dots in them are found as well
 */
export function locateField(text: string, item: ManifestObject, path: string): Position {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter });
  const offset = Array.isArray(documents) ? offsetOf(documents, lineCounter, item, path) : undefined;
  if (offset === undefined) return { line: item.origin.line, column: 1 };
  const position = lineCounter.linePos(offset);
  return { line: position.line, column: position.col };
}

function offsetOf(documents: readonly Document.Parsed[], lineCounter: LineCounter, item: ManifestObject, path: string): number | undefined {
  const document = documents.find(({ contents, range }) => lineCounter.linePos(contents?.range?.[0] ?? range[0]).line === item.origin.line);
  const root = document?.contents;
  if (root === null || root === undefined) return undefined;
  const object = objectNode(root, item);
  return descend(object, path, object.range?.[0]);
}

/** The object itself, or the item of a List that is the object. */
function objectNode(root: Node, item: ManifestObject): Node {
  const items = isMap(root) ? root.get('items') : undefined;
  if (!isSeq(items)) return root;
  const { kind, metadata } = item.object;
  const found = items.items.find(
    (node) =>
      isMap(node) &&
      node.get('kind') === kind &&
      node.getIn(['metadata', 'name']) === metadata.name &&
      (node.getIn(['metadata', 'namespace']) ?? undefined) === metadata.namespace,
  );
  return isMap(found) ? found : root;
}

function descend(node: unknown, path: string, found: number | undefined): number | undefined {
  if (path === '') return found;
  if (isSeq(node)) {
    const [matched = '', index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
    const child = index === undefined ? undefined : (node.items[Number(index)] as Node | undefined);
    return child === undefined ? found : descend(child, path.slice(matched.length), child.range?.[0] ?? found);
  }
  if (!isMap(node)) return found;
  // A key of a map may stand in brackets (`matchLabels[app.kubernetes.io/name]`) or after a dot.
  const bracketed = /^\[([^\]]*)\]/.exec(path)?.[1];
  const pairs = node.items.flatMap((pair) =>
    isScalar(pair.key) ? [{ name: String(pair.key.value), key: pair.key, value: pair.value }] : [],
  );
  const fitting = pairs.filter(({ name }) =>
    bracketed === undefined ? path.startsWith(name) && /^($|[.[])/.test(path.slice(name.length)) : name === bracketed,
  );
  const [best] = fitting.toSorted((one, other) => other.name.length - one.name.length);
  if (best === undefined) return found;
  const rest = path.slice(best.name.length + (bracketed === undefined ? 0 : 2)).replace(/^\./, '');
  return descend(best.value, rest, best.key.range?.[0] ?? found);
}
