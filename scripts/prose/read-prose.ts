/*
 * Takes the prose out of a file: comments, sentences in strings, test names, Markdown without code.
 */
import { parseSync } from 'oxc-parser';
import { isNode, type Node } from '../syntax-node.ts';

/** A piece of prose; everything else of the file is blanked out, so that offsets are those of the file. */
export interface Prose {
  readonly text: string;
  /** Number of lines that hold a comment; 0 for Markdown. */
  readonly commentLines: number;
}

/**
 * The prose of one file, by its name.
 *
 * @param path decides what counts: in TypeScript comments; in programs, strings with a space; in tests, names of tests,
 *   also those in the first column of a table; in Markdown all but code; in YAML, Go, C, Dockerfiles and the like comments
 * @returns undefined for a file without prose, such as JSON
 */
export function readProse(path: string, source: string): Prose | undefined {
  if (/\.[cm]?[jt]s$/.test(path)) return scriptProse(path, source);
  if (/\.(md|txt)$/.test(path)) return { text: withoutCode(source), commentLines: 0 };
  const comment = COMMENTS.find(([name]) => name.test(path))?.[1];
  if (comment === undefined) return undefined;
  const kept = blank(source);
  const lines = new Set<number>();
  for (const match of source.matchAll(comment)) keep(source, kept, match.index, match.index + match[0].length, lines);
  return { text: withoutBackticks(kept.join('')), commentLines: lines.size };
}

const COMMENTS: readonly (readonly [RegExp, RegExp])[] = [
  [/\.(ya?ml|tpl)$/, /(?<=^|\s)#.*$|\{\{-?\s*\/\*[\s\S]*?\*\/\s*-?\}\}/gm],
  [/(^|\/)(Dockerfile[^/]*|\.ci\/run|.*\.(sh|py))$/, /^\s*#.*$/gm],
  [/\.(go|c|proto)$/, /(?<!:)\/\/.*$|\/\*[\s\S]*?\*\//gm],
  [/\.wat$/, /;;.*$|\(;[\s\S]*?;\)/gm],
];

function blank(source: string): string[] {
  return Array.from(source, (char) => (char === '\n' ? '\n' : ' ').repeat(char.length))
    .join('')
    .split('');
}

function keep(source: string, kept: string[], start: number, end: number, lines?: Set<number>): void {
  let line = lines === undefined ? 0 : source.slice(0, start).split('\n').length;
  for (let at = start; at < end; at += 1) {
    kept[at] = source[at] ?? '';
    lines?.add(line);
    if (source[at] === '\n') line += 1;
  }
}

/** Keeps a string or a part of a template without its quotes, backticks and `${`. */
function keepInside(source: string, kept: string[], start: number, end: number): void {
  const text = source.slice(start, end);
  const before = /^['"`}]?/.exec(text)?.[0].length ?? 0;
  const after = /(\$\{|['"`])?$/.exec(text)?.[0].length ?? 0;
  keep(source, kept, start + before, end - after);
}

/** Programs whose strings a person reads; tests count by their names. */
const PROGRAMS = /^(src|scripts|test\/(bench|cluster|conformance|e2e|fuzz|oracle))\//;

function scriptProse(path: string, source: string): Prose {
  const result = parseSync(path, source);
  const kept = blank(source);
  const lines = new Set<number>();
  for (const { start, end } of result.comments) keep(source, kept, start, end, lines);
  const isTest = path.endsWith('.test.ts');
  const all = !isTest && PROGRAMS.test(path);
  if (all || isTest) addStrings(result.program, all, (start, end) => keepInside(source, kept, start, end));
  return { text: withoutBackticks(kept.join('')), commentLines: lines.size };
}

const TEST_FUNCTIONS = new Set(['describe', 'it', 'context', 'before', 'after', 'beforeEach', 'afterEach']);

function addStrings(node: unknown, all: boolean, add: (start: number, end: number) => void): void {
  if (Array.isArray(node)) {
    for (const item of node) addStrings(item, all, add);
    return;
  }
  if (!isNode(node) || (/^(Import|Export(All|Named))Declaration$/.test(node.type) && isNode(node['source']))) return;
  if (all && isProse(node)) add(node.start, node.end);
  if (!all && node.type === 'CallExpression' && TEST_FUNCTIONS.has(calleeName(node['callee']))) {
    const [name] = node['arguments'] as Node[];
    if (name !== undefined && /^(Literal|TemplateLiteral)$/.test(name.type)) add(name.start, name.end);
  }
  if (!all && node.type === 'ArrayExpression') {
    for (const row of node['elements'] as (Node | null)[]) {
      const [name] = row?.type === 'ArrayExpression' ? (row['elements'] as (Node | null)[]) : [];
      if (name && isProse(name)) add(name.start, name.end);
    }
  }
  for (const value of Object.values(node)) if (typeof value === 'object') addStrings(value, all, add);
}

/** A string or a part of a template that holds a sentence rather than a name: it has a space between two words. */
function isProse(node: Node): boolean {
  const value = node['value'];
  if (node.type === 'Literal') return typeof value === 'string' && /[A-Za-z] [A-Za-z]/.test(value);
  return node.type === 'TemplateElement' && /[A-Za-z] | [A-Za-z]/.test((value as { readonly raw: string }).raw);
}

function calleeName(callee: unknown): string {
  if (!isNode(callee)) return '';
  if (callee.type === 'Identifier') return callee['name'] as string;
  return callee.type === 'MemberExpression' ? calleeName(callee['object']) : '';
}

function hide(match: string): string {
  return match.replaceAll(/[^\n]/g, ' ');
}

/** Names in backticks are not prose. */
function withoutBackticks(text: string): string {
  return text.replaceAll(/`[^`\n]+`/g, hide);
}

function withoutCode(markdown: string): string {
  return markdown
    .replaceAll(/^ *(```|~~~)[\s\S]*?^ *\1 *$/gm, hide)
    .replaceAll(/`+[^`]+`+/g, hide)
    .replaceAll(/\]\([^)]*\)/g, hide)
    .replaceAll(/<!--[\s\S]*?-->/g, hide)
    .replaceAll(/https?:\/\/\S+/g, hide);
}
