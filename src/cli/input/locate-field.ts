/*
 * Finds the line and column of a field in a file, for findings and for references to rules. A file whose syntax tree was not kept is parsed
 * a second time for this, once and only when first needed.
 */
import { type Document, isMap, isScalar, isSeq, type LineCounter, type Node, type Scalar, type YAMLMap } from 'yaml';
import { parseYamlDocuments, type YamlDocuments } from '../../api/kube/yaml-documents.ts';
import type { ManifestObject } from '../../state/manifests.ts';

/** A position in a file; both numbers start at 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/**
 * The position of `path` within `item`, or of the deepest part of the path that exists; of the object's first line when the text
 * of its file is unknown.
 *
 * @param path as in `Finding.path`; keys that contain dots are found too
 */
export type Locate = (item: ManifestObject, path: string) => Position;

interface ParsedFile {
  readonly lineCounter: LineCounter;
  readonly documentByLine: ReadonlyMap<number, Document.Parsed>;
  /** Items of Lists by name, so that a List with thousands of items is walked once. */
  readonly itemsByList: Map<Node, ReadonlyMap<string, YAMLMap>>;
  /** Members of mappings, so that a mapping with thousands of members is walked once. */
  readonly membersByMap: Map<YAMLMap, Members>;
}

/** The members of one mapping. */
interface Members {
  readonly byName: ReadonlyMap<string, { readonly key: Scalar; readonly value: unknown }>;
  /** Lengths of the names, longest first. */
  readonly lengths: readonly number[];
}

/** A parsed file, as far as positions in it need it. */
export type SyntaxTree = Pick<YamlDocuments, 'documents' | 'lineCounter'>;

/**
 * Finds fields in the given files.
 * @param textByFile by the file names that origins use
 * @param kept of files that were parsed before
 */
export function createLocator(textByFile: ReadonlyMap<string, string>, kept: ReadonlyMap<string, SyntaxTree> = new Map()): Locate {
  const parsed = new Map<string, ParsedFile>();
  return (item, path) => {
    const { file, line } = item.origin;
    const text = textByFile.get(file);
    if (text === undefined) return { line, column: 1 };
    const known = parsed.get(file) ?? indexed(kept.get(file) ?? parseYamlDocuments(text));
    parsed.set(file, known);
    const offset = offsetOf(known, item, path);
    if (offset === undefined) return { line, column: 1 };
    const position = known.lineCounter.linePos(offset);
    return { line: position.line, column: position.col };
  };
}

function indexed({ documents, lineCounter }: SyntaxTree): ParsedFile {
  const lineOf = ({ contents, range }: Document.Parsed): number => lineCounter.linePos(contents?.range?.[0] ?? range[0]).line;
  return {
    lineCounter,
    documentByLine: new Map(documents.map((document) => [lineOf(document), document])),
    itemsByList: new Map(),
    membersByMap: new Map(),
  };
}

function offsetOf(file: ParsedFile, item: ManifestObject, path: string): number | undefined {
  const root = file.documentByLine.get(item.origin.line)?.contents;
  if (root === null || root === undefined) return undefined;
  const object = objectNode(file, root, item);
  return descend(object, path, { found: object.range?.[0], file });
}

/** The node of the object itself, or of the List item that is the object. */
function objectNode({ itemsByList }: ParsedFile, root: Node, { object }: ManifestObject): Node {
  const items = isMap(root) ? root.get('items') : undefined;
  if (!isSeq(items)) return root;
  const known = itemsByList.get(root) ?? itemsByKey(items.items);
  itemsByList.set(root, known);
  return known.get(itemKey(object.kind, object.metadata.namespace, object.metadata.name)) ?? root;
}

/** If several items have the same name, the first one. */
function itemsByKey(nodes: readonly unknown[]): ReadonlyMap<string, YAMLMap> {
  const maps = nodes.filter((node): node is YAMLMap => isMap(node)).toReversed();
  return new Map(
    maps.map((node) => [itemKey(node.get('kind'), node.getIn(['metadata', 'namespace']), node.getIn(['metadata', 'name'])), node]),
  );
}

function itemKey(kind: unknown, namespace: unknown, name: unknown): string {
  return JSON.stringify([kind, namespace ?? '', name]);
}

/** The offset of `path` below `node`. @param found offset of the deepest part found so far */
function descend(
  node: unknown,
  path: string,
  { found, file }: { readonly found: number | undefined; readonly file: ParsedFile },
): number | undefined {
  if (path === '') return found;
  if (isSeq(node)) {
    const [matched = '', index] = /^\[(\d+)\]\.?/.exec(path) ?? [];
    const child = index === undefined ? undefined : (node.items[Number(index)] as Node | undefined);
    return child === undefined ? found : descend(child, path.slice(matched.length), { found: child.range?.[0] ?? found, file });
  }
  if (!isMap(node)) return found;
  const members = file.membersByMap.get(node) ?? membersOf(node);
  file.membersByMap.set(node, members);
  // A map key is written in brackets (`matchLabels[app.kubernetes.io/name]`) or after a dot.
  const bracketed = /^\[([^\]]*)\]/.exec(path)?.[1];
  const name = bracketed ?? longestName(members, path);
  const member = name === undefined ? undefined : members.byName.get(name);
  if (name === undefined || member === undefined) return found;
  const rest = path.slice(name.length + (bracketed === undefined ? 0 : 2)).replace(/^\./, '');
  return descend(member.value, rest, { found: member.key.range?.[0] ?? found, file });
}

function membersOf(map: YAMLMap): Members {
  const byName = new Map<string, { readonly key: Scalar; readonly value: unknown }>();
  for (const { key, value } of map.items) if (isScalar(key)) byName.set(String(key.value), { key, value });
  const lengths = new Set([...byName.keys()].map(({ length }) => length));
  return { byName, lengths: [...lengths].toSorted((one, other) => other - one) };
}

/** The longest name that `path` begins with. */
function longestName({ byName, lengths }: Members, path: string): string | undefined {
  const length = lengths.find((one) => (one === path.length || path[one] === '.' || path[one] === '[') && byName.has(path.slice(0, one)));
  return length === undefined ? undefined : path.slice(0, length);
}
