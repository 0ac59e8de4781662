/*
 * Finds exports without a doc comment.
 */
import { parseSync } from 'oxc-parser';
import type { Node } from '../syntax-node.ts';

/** An exported declaration of one file. */
export interface ExportedName {
  readonly name: string;
  /** 1-based. */
  readonly line: number;
  readonly isDocumented: boolean;
}

interface Comment {
  readonly type: string;
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Every name that a file declares and exports, in order: functions (overloads once), classes, interfaces, types, constants.
 * A re-export has its doc comment where the name is declared, and is left out.
 *
 * @throws Error when the file cannot be parsed
 */
export function exportsOf(path: string, source: string): readonly ExportedName[] {
  const { program, comments, errors } = parseSync(path, source);
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`);
  const docs = new Map(comments.filter(isDoc).map((comment) => [nextCode(source, comment.end), comment]));
  const body = program.body as unknown as readonly Node[];
  const listed = new Set(body.flatMap((node) => (node.type === 'ExportNamedDeclaration' && !node['source'] ? specifiers(node) : [])));
  const found = new Map<string, ExportedName>();
  for (const node of body) {
    const isExport = node.type === 'ExportNamedDeclaration' || node.type === 'ExportDefaultDeclaration';
    const declaration = isExport ? (node['declaration'] as Node | null) : node;
    if (declaration === null) continue;
    for (const name of namesOf(declaration)) {
      if ((!isExport && !listed.has(name)) || found.has(name)) continue;
      const line = source.slice(0, node.start).split('\n').length;
      found.set(name, { name, line, isDocumented: docs.has(node.start) });
    }
  }
  return [...found.values()];
}

function isDoc({ type, value }: Comment): boolean {
  return type === 'Block' && value.startsWith('*') && /\w/.test(value);
}

/** The offset of what follows a comment. */
function nextCode(source: string, end: number): number {
  return end + /^\s*/.exec(source.slice(end, end + 400))![0].length;
}

function specifiers(node: Node): readonly string[] {
  return (node['specifiers'] as readonly Node[]).map((specifier) => (specifier['local'] as Node)['name'] as string);
}

function namesOf(declaration: Node): readonly string[] {
  if (declaration.type === 'VariableDeclaration') {
    return (declaration['declarations'] as readonly Node[]).flatMap(({ id }) => ((id as Node)['name'] as string | undefined) ?? []);
  }
  const id = declaration['id'] as Node | null | undefined;
  return typeof id?.['name'] === 'string' ? [id['name']] : [];
}
