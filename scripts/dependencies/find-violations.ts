/*
 * Compares imports with the table of allowed imports. Whatever the table does not list is a violation.
 */
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { ASSEMBLY_FOLDERS, PACKAGES, type PackageRule } from './allowed-imports.ts';
import { type ImportStatement, readImports } from './read-imports.ts';

/** Path from the project's root (`src/http/methods.ts`) to the text of the file. */
export type SourceFiles = ReadonlyMap<string, string>;

/** A broken rule. */
export interface Violation {
  /** Equal for all imports that break the rule in the same way: `http -> policy`, `cycle: src/a src/b`. */
  readonly rule: string;
  /** One line: the file, the import and what to do. */
  readonly message: string;
}

/** The row of the table that a file belongs to; undefined when it has none. */
export function packageOf(path: string, packages: Readonly<Record<string, PackageRule>> = PACKAGES): string | undefined {
  const [, first = '', second, third] = path.split('/');
  if (path === 'package.json') return path;
  if (!path.startsWith('src/')) return undefined;
  if (second === undefined) return Object.hasOwn(packages, first) ? first : undefined;
  const inner = `${first}/${second}`;
  if (Object.hasOwn(packages, inner)) return inner;
  // Once a directory below has its own row, each of them must have one.
  const isSplit = third !== undefined && Object.keys(packages).some((name) => name.startsWith(`${first}/`) && !name.endsWith('.ts'));
  return !isSplit && Object.hasOwn(packages, first) ? first : undefined;
}

/** All violations of the table, what it allows without need, and all cycles between directories, in the order of the files. */
export function findViolations(files: SourceFiles, packages: Readonly<Record<string, PackageRule>> = PACKAGES): readonly Violation[] {
  const violations: Violation[] = [];
  const used = new Map<string, Set<string>>();
  const edges = new Map<string, Map<string, string>>();
  for (const [path, source] of files) {
    const from = packageOf(path, packages);
    if (from === undefined) {
      const folder =
        posix.dirname(path) === 'src'
          ? path
          : path
              .split('/')
              .slice(0, path.startsWith('src/agent/') ? 3 : 2)
              .join('/');
      violations.push({ rule: `unknown package ${folder}`, message: `${path}: no row for ${folder} in allowed-imports.ts` });
      continue;
    }
    for (const statement of readImports(path, source)) {
      const target = targetOf(path, statement);
      const name = target === undefined ? statement.specifier : packageOf(target, packages);
      used.set(from, (used.get(from) ?? new Set<string>()).add(`${name}${statement.isType ? ' (types)' : ''}`));
      if (target?.startsWith('src/')) addEdges(edges, path, target, [from, packageOf(target, packages)]);
      const rule = refusal(from, statement, target, packages);
      if (rule !== undefined)
        violations.push({ rule, message: `${path}: ${oneLine(statement.text)}: ${rule} is not in allowed-imports.ts` });
    }
  }
  const unused = Object.keys(packages).filter((name) => ![...files.keys()].some((path) => packageOf(path, packages) === name));
  violations.push(
    ...unused.map((name) => ({ rule: `no such package ${name}`, message: `allowed-imports.ts has a row for ${name}, which has no file` })),
  );
  return [...violations, ...findUnused(packages, used), ...findCycles(edges)];
}

/** Arrows that no import needs, or that are needed for types only: the table would keep them open for any later import. */
function findUnused(packages: Readonly<Record<string, PackageRule>>, used: ReadonlyMap<string, ReadonlySet<string>>): readonly Violation[] {
  const unused: Violation[] = [];
  for (const [from, { imports = [], types = [], npm = [], node = [], nodeTypes = [] }] of Object.entries(packages)) {
    const names = used.get(from) ?? new Set<string>();
    const missing = [
      ...[...imports, ...node].filter((to) => !names.has(to)),
      ...[...types, ...nodeTypes].filter((to) => !names.has(`${to} (types)`)),
      ...npm.filter((to) => !names.has(to) && !names.has(`${to} (types)`)),
    ];
    for (const to of missing) {
      unused.push({ rule: `unused: ${from} -> ${to}`, message: `allowed-imports.ts allows ${from} -> ${to} more than its imports need` });
    }
  }
  return unused;
}

/** The imported file for a relative specifier; undefined for a package or an unreadable specifier. */
function targetOf(path: string, { specifier }: ImportStatement): string | undefined {
  return specifier?.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined;
}

/** The rule that the import breaks, such as `http -> policy`; undefined when it is allowed. */
function refusal(
  from: string,
  { specifier, isType }: ImportStatement,
  target: string | undefined,
  packages: Readonly<Record<string, PackageRule>>,
): string | undefined {
  const row = packages[from] ?? { job: '' };
  if (specifier === undefined) return `${from} -> a computed specifier`;
  if (target !== undefined) {
    const to = packageOf(target, packages);
    if (to === undefined) return `${from} -> ${target}`;
    if (to === from || row.imports?.includes(to) || (isType && row.types?.includes(to))) return undefined;
    return row.types?.includes(to) ? `${from} -> ${to} (types only)` : `${from} -> ${to}`;
  }
  if (isBuiltin(specifier)) {
    if (row.node?.includes(specifier) || (isType && (row.nodeTypes?.includes(specifier) || row.node?.includes(specifier))))
      return undefined;
    return `${from} -> ${specifier}`;
  }
  return row.npm?.includes(specifier) ? undefined : `${from} -> ${specifier}`;
}

function oneLine(text: string): string {
  const flat = text.replaceAll(/\s+/g, ' ');
  return flat.length > 100 ? `${flat.slice(0, 99)}…` : flat;
}

/** Edges between directories and between packages; each keeps one file as an example. */
function addEdges(edges: Map<string, Map<string, string>>, path: string, target: string, names: readonly (string | undefined)[]): void {
  const [from, to] = names;
  const pairs = [[nodeOf(path), nodeOf(target)], ...(from !== undefined && to !== undefined ? [[`package ${from}`, `package ${to}`]] : [])];
  for (const [a = '', b = ''] of pairs) {
    if (a === b) continue;
    const known = edges.get(a) ?? new Map<string, string>();
    if (!known.has(b)) known.set(b, path);
    edges.set(a, known);
  }
}

function nodeOf(path: string): string {
  const folder = posix.dirname(path);
  return ASSEMBLY_FOLDERS.includes(folder) ? path : folder;
}

/** The strongly connected groups of more than one node (Tarjan). */
function findCycles(edges: ReadonlyMap<string, ReadonlyMap<string, string>>): readonly Violation[] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (node: string): void => {
    order.set(node, order.size);
    low.set(node, order.size - 1);
    stack.push(node);
    for (const next of edges.get(node)?.keys() ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? 0, low.get(next) ?? 0));
    }
    if (low.get(node) !== order.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    if (group.length > 1) groups.push(group.toSorted());
  };
  for (const node of edges.keys()) if (!order.has(node)) visit(node);
  return groups.map((group) => {
    const arrows = group.flatMap((a) =>
      [...(edges.get(a) ?? [])].filter(([b]) => group.includes(b)).map(([b, example]) => `${a} -> ${b} (${example})`),
    );
    return { rule: `cycle: ${group.join(' ')}`, message: `cycle, counting types: ${arrows.join(', ')}` };
  });
}
