/*
 * Finds every import of a TypeScript file, in whichever form it is written, by parsing the file.
 */
import { parseSync } from 'oxc-parser';
import { isNode, type Node } from '../syntax-node.ts';

/** One import as the source file states it. */
export interface ImportStatement {
  /** The module specifier; undefined when it is not a string literal and so cannot be checked. */
  readonly specifier: string | undefined;
  /** True when the import is erased before the code runs. */
  readonly isType: boolean;
  /** The text that the finding quotes. */
  readonly text: string;
}

/** `import { type A } from 'a'` still loads the module (verbatimModuleSyntax); only `import type` and `export type` are erased. */
const ERASED = /^(import|export)\s+type\s+(?!from\b)[\w{*]/;
/** Without one of these words a file has only the imports that the parser lists itself. */
const OTHER_FORMS = /\bimport\s*\(|\brequire\b|\bgetBuiltinModule\b|\bimport\.meta\.resolve\b/;

/**
 * All imports of one file: static, side-effect, `export … from`, dynamic, `import('…').Type`, `import x = require('…')`,
 * `require('…')`, `process.getBuiltinModule('…')` and `import.meta.resolve('…')`.
 *
 * @throws Error when the file cannot be parsed
 */
export function readImports(path: string, source: string): readonly ImportStatement[] {
  const result = parseSync(path, source);
  const [problem] = result.errors;
  if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
  const imports: ImportStatement[] = [];
  for (const { start, end, moduleRequest } of result.module.staticImports) {
    const text = source.slice(start, end);
    imports.push({ specifier: moduleRequest.value, isType: ERASED.test(text), text });
  }
  for (const { start, end, entries } of result.module.staticExports) {
    const request = entries.find(({ moduleRequest }) => moduleRequest !== null)?.moduleRequest;
    const text = source.slice(start, end);
    if (request) imports.push({ specifier: request.value, isType: ERASED.test(text), text });
    else if (/\bfrom\s*['"]/.test(text)) imports.push({ specifier: undefined, isType: false, text });
  }
  if (OTHER_FORMS.test(source)) addCalls(result.program, source, imports);
  return imports;
}

function literal(value: unknown): string | undefined {
  return isNode(value) && value.type === 'Literal' && typeof value['value'] === 'string' ? value['value'] : undefined;
}

/** Adds the imports that are expressions or types. */
function addCalls(node: unknown, source: string, imports: ImportStatement[]): void {
  if (Array.isArray(node)) {
    for (const item of node) addCalls(item, source, imports);
    return;
  }
  if (!isNode(node)) return;
  const found = importOf(node);
  if (found !== undefined) imports.push({ ...found, text: source.slice(node.start, node.end) });
  for (const value of Object.values(node)) if (typeof value === 'object') addCalls(value, source, imports);
}

function importOf(node: Node): Omit<ImportStatement, 'text'> | undefined {
  switch (node.type) {
    case 'ImportExpression':
      return { specifier: literal(node['source']), isType: false };
    case 'TSImportType':
      return { specifier: literal(node['source']), isType: true };
    case 'TSExternalModuleReference':
      return { specifier: literal(node['expression']), isType: false };
    case 'CallExpression':
      return loads(node['callee']) ? { specifier: literal((node['arguments'] as unknown[])[0]), isType: false } : undefined;
    default:
      return undefined;
  }
}

/** True for `require`, `x.require`, `x.getBuiltinModule` and `import.meta.resolve`. */
function loads(callee: unknown): boolean {
  if (!isNode(callee)) return false;
  if (callee.type === 'Identifier') return callee['name'] === 'require';
  if (callee.type !== 'MemberExpression' || !isNode(callee['property'])) return false;
  const name = callee['property']['name'] ?? callee['property']['value'];
  if (name === 'resolve') return isNode(callee['object']) && callee['object'].type === 'MetaProperty';
  return name === 'require' || name === 'getBuiltinModule';
}
