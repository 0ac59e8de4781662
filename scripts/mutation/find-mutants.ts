/*
 * All mutants of a source file: small changes, each of which some test should notice.
 */
import { createHash } from 'node:crypto';
import { parseSync } from 'oxc-parser';
import { isNode, type Node } from '../syntax-node.ts';

/** What a mutant changes. */
export type Operator = 'negate condition' | 'and or' | 'boundary' | 'equality' | 'remove statement' | 'return' | 'constant';

/** One change of one file. */
export interface Mutant {
  /** The same for the same change between the same lines, wherever they stand in the file. */
  readonly id: string;
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly operator: Operator;
  /** Range of the replaced text. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

interface Change {
  readonly operator: Operator;
  readonly node: Node;
  readonly replacement: string;
}

const OPPOSITE: Readonly<Record<string, readonly [operator: Operator, other: string]>> = {
  '&&': ['and or', '||'],
  '||': ['and or', '&&'],
  '<': ['boundary', '<='],
  '<=': ['boundary', '<'],
  '>': ['boundary', '>='],
  '>=': ['boundary', '>'],
  '===': ['equality', '!=='],
  '!==': ['equality', '==='],
};
/** Nodes of types, of which only an expression inside them runs. */
const CASTS: ReadonlySet<string> = new Set(['TSAsExpression', 'TSSatisfiesExpression', 'TSNonNullExpression']);
const NAMES_MODULES: ReadonlySet<string> = new Set(['ImportDeclaration', 'ExportAllDeclaration']);

/** The mutants of `source` in its order. */
export function findMutants(path: string, source: string): readonly Mutant[] {
  const seen = new Map<string, number>();
  return changesIn(path, source).map(({ operator, node: { start, end }, replacement }) => {
    const place = [path, operator, replacement, ...surroundings(source, start, end)].join('\n');
    const turn = seen.get(place) ?? 0;
    seen.set(place, turn + 1);
    const id = createHash('sha256').update(`${place}\n${turn}`).digest('hex').slice(0, 16);
    return { id, path, line: source.slice(0, start).split('\n').length, operator, start, end, replacement };
  });
}

/** What distinguishes the place of a change from others of its file: its lines, the line before and the line after, without indentation. */
function surroundings(source: string, start: number, end: number): readonly string[] {
  const from = source.lastIndexOf('\n', start - 1) + 1;
  const to = `${source}\n`.indexOf('\n', end);
  const before = source.slice(0, from).trimEnd().split('\n').at(-1) ?? '';
  const after = source.slice(to).trimStart().split('\n')[0] ?? '';
  const inLine = source.slice(from, start).trimStart();
  return [before, inLine, source.slice(start, to), after].map((text) => text.trim().replace(/\s+/g, ' '));
}

/** `source` with the change of `mutant`. */
export function applyMutant(source: string, { start, end, replacement }: Mutant): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

function changesIn(path: string, source: string): readonly Change[] {
  const changes: Change[] = [];
  const textOf = ({ start, end }: Node): string => source.slice(start, end);
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (!isNode(value) || NAMES_MODULES.has(value.type) || typeof value['directive'] === 'string') return;
    if (CASTS.has(value.type)) visit(value['expression']);
    if (value.type.startsWith('TS')) return;
    changes.push(...changesOf(value, textOf));
    for (const [name, child] of Object.entries(value)) {
      const isName = name === 'key' && value['computed'] !== true;
      if (typeof child === 'object' && !isName) visit(child);
    }
  };
  visit(parseSync(path, source).program);
  return changes;
}

function changesOf(node: Node, textOf: (node: Node) => string): readonly Change[] {
  switch (node.type) {
    case 'IfStatement':
    case 'WhileStatement':
    case 'ConditionalExpression':
      return [{ operator: 'negate condition', node: node['test'] as Node, replacement: `!(${textOf(node['test'] as Node)})` }];
    case 'LogicalExpression':
    case 'BinaryExpression':
      return oppositeOf(node, textOf);
    case 'ExpressionStatement':
      return isRequired(node) ? [] : [{ operator: 'remove statement', node, replacement: ';' }];
    case 'ReturnStatement':
      return isNode(node['argument']) && textOf(node['argument']) !== 'undefined'
        ? [{ operator: 'return', node, replacement: 'return undefined;' }]
        : [];
    case 'Literal':
      return constantOf(node);
    default:
      return [];
  }
}

function oppositeOf(node: Node, textOf: (node: Node) => string): readonly Change[] {
  const opposite = OPPOSITE[String(node['operator'])];
  if (opposite === undefined) return [];
  const [operator, other] = opposite;
  return [{ operator, node, replacement: `(${textOf(node['left'] as Node)} ${other} ${textOf(node['right'] as Node)})` }];
}

function constantOf(node: Node): readonly Change[] {
  const { value } = node;
  const change = (replacement: string): readonly Change[] => [{ operator: 'constant', node, replacement }];
  if (typeof value === 'number') return change(String(value + 1));
  if (typeof value === 'boolean') return change(String(!value));
  return typeof value === 'string' ? change(value === '' ? "'mutant'" : "''") : [];
}

/** A class cannot do without the call of its parent's constructor. */
function isRequired({ expression }: Node): boolean {
  return (
    isNode(expression) && expression.type === 'CallExpression' && isNode(expression['callee']) && expression['callee'].type === 'Super'
  );
}
