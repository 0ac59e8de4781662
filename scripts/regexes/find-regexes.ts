/*
 * Finds every regular expression of a source file, and every use of one that cannot be examined.
 */
import { parseSync } from 'oxc-parser';
import { isNode, type Node } from '../syntax-node.ts';

/** A regular expression, as it is written. */
export interface Regex {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly source: string;
  readonly flags: string;
  /** Whether it is searched for again behind each match, as `split` does even without the flag `g`. */
  readonly isRepeated: boolean;
}

/** A regular expression that is made at run time. */
export interface Dynamic {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** Name of the constant that the module exports it as; undefined: it is not an exported constant. */
  readonly name?: string;
}

/** Methods of strings that make a regular expression of a string. */
const CONVERTING = new Set(['match', 'matchAll', 'search']);

/** All regular expressions of `files`, in the order of the files. @param files text by path */
export function findRegexes(files: ReadonlyMap<string, string>): {
  readonly regexes: readonly Regex[];
  readonly dynamic: readonly Dynamic[];
} {
  const regexes: Regex[] = [];
  const dynamic: Dynamic[] = [];
  for (const [path, text] of files) {
    const lineOf = (node: Node): number => text.slice(0, node.start).split('\n').length;
    walk(parseSync(path, text).program, (node, parents) => {
      const literal = node['regex'] as { readonly pattern: string; readonly flags: string } | undefined;
      if (node.type === 'Literal' && literal !== undefined && literal !== null) {
        const isRepeated = literal.flags.includes('g') || isArgumentOf(parents.at(-1), node, 'split');
        regexes.push({ path, line: lineOf(node), source: literal.pattern, flags: literal.flags, isRepeated });
      }
      if (isMadeAtRunTime(node)) {
        const name = exportedName(parents);
        dynamic.push({ path, line: lineOf(node), ...(name === undefined ? {} : { name }) });
      }
    });
  }
  return { regexes, dynamic };
}

function walk(value: unknown, visit: (node: Node, parents: readonly Node[]) => void, parents: readonly Node[] = []): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit, parents);
  if (!isNode(value)) return;
  visit(value, parents);
  const inner = [...parents, value];
  for (const child of Object.values(value)) if (typeof child === 'object') walk(child, visit, inner);
}

function isMadeAtRunTime(node: Node): boolean {
  if (node.type !== 'NewExpression' && node.type !== 'CallExpression') return false;
  const callee = node['callee'];
  if (!isNode(callee)) return false;
  if (callee['name'] === 'RegExp') return true;
  const [first] = node['arguments'] as readonly unknown[];
  const isText = isNode(first) && (first.type === 'TemplateLiteral' || (first.type === 'Literal' && typeof first['value'] === 'string'));
  return isText && callee.type === 'MemberExpression' && CONVERTING.has(String((callee['property'] as Node)['name']));
}

function isArgumentOf(parent: Node | undefined, node: Node, method: string): boolean {
  if (parent?.type !== 'CallExpression' || !(parent['arguments'] as readonly unknown[]).includes(node)) return false;
  const callee = parent['callee'];
  return isNode(callee) && callee.type === 'MemberExpression' && (callee['property'] as Node)['name'] === method;
}

/** The name in `export const NAME = new RegExp(…)`. */
function exportedName(parents: readonly Node[]): string | undefined {
  const [exported, , declarator] = parents.slice(-3);
  if (exported?.type !== 'ExportNamedDeclaration' || declarator?.type !== 'VariableDeclarator') return undefined;
  return String((declarator['id'] as Node)['name']);
}
