/*
 * Tables of tests: `*.sallyport-test.yaml`. In: folders and files. Out: each table, checked, with where it stands. Called by
 * the command `test`.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import type { ExplainedVerdict } from '../../explain/explanation.ts';
import type { Expected } from '../../explain/run-tests.ts';
import type { Json } from '../../policy/facts.ts';
import { isTestFile } from '../../state/manifests.ts';
import { type CommandContext, CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA } from '../exit-codes.ts';
import { readRequired } from './request-flags.ts';
import { type RequestSpec, requestSchema } from './request-spec.ts';
import { systemReason } from './system-reason.ts';

const jsonSchema = z.json();
const verdictSchema = z.enum(['allow', 'deny', 'unauthenticated', 'reject']);
const workloadSchema = z.union([
  z.string().regex(/^[^/\s]+\/[^/\s]+$/, 'namespace/name is wanted'),
  z.strictObject({ namespace: z.string(), name: z.string(), labels: z.record(z.string(), z.string()) }),
]);
const tokenSchema = z.union([
  z.string(),
  z.strictObject({ file: z.string() }),
  z.strictObject({ claims: z.record(z.string(), jsonSchema), expiresInSeconds: z.int().optional() }),
]);
const expectedHeadersSchema = z.record(z.string(), z.union([z.string(), z.array(z.string()), z.null()]));
const expectSchema = z.strictObject({
  verdict: verdictSchema.optional(),
  status: z.int().optional(),
  policy: z.string().optional(),
  rule: z.int().min(0).optional(),
  principal: z.string().optional(),
  headers: expectedHeadersSchema.optional(),
  body: z.string().optional(),
  upstream: z
    .strictObject({
      method: z.string().optional(),
      path: z.string().optional(),
      host: z.string().optional(),
      headers: expectedHeadersSchema.optional(),
    })
    .optional(),
});
const testSchema = z.strictObject({
  name: z.string().min(1),
  workload: workloadSchema.optional(),
  request: requestSchema.default({}),
  token: tokenSchema.optional(),
  authorizer: z.enum(['allow', 'deny']).optional(),
  now: z.string().optional(),
  expect: z.union([verdictSchema, expectSchema]),
});
const tableSchema = z.strictObject({
  manifests: z.array(z.string()).optional(),
  workload: workloadSchema.optional(),
  now: z.string().optional(),
  tests: z.array(testSchema).min(1),
});

/** A workload by name, or by the labels of its pod. */
export type TableWorkload =
  | string
  | { readonly namespace: string; readonly name: string; readonly labels: Readonly<Record<string, string>> };

/** A token: as text, in a file beside the table, or claims to be signed for the run. */
export type TableToken =
  | string
  | { readonly file: string }
  | { readonly claims: Readonly<Record<string, Json>>; readonly expiresInSeconds?: number | undefined };

/** One row. */
export interface TableRow {
  readonly name: string;
  /** Absent: the table's. */
  readonly workload?: TableWorkload | undefined;
  readonly request: RequestSpec;
  readonly token?: TableToken | undefined;
  readonly authorizer?: 'allow' | 'deny' | undefined;
  /** When this request comes, in ISO 8601. Absent: as the table says. */
  readonly now?: string | undefined;
  /** A word alone is the verdict. */
  readonly expect: ExplainedVerdict['outcome'] | Expected;
}

export interface TestTable {
  /** As on the command line. */
  readonly file: string;
  /** From the folder of the table. Absent: that folder. */
  readonly manifests?: readonly string[] | undefined;
  readonly workload?: TableWorkload | undefined;
  /** When the requests come, in ISO 8601. Absent: now. */
  readonly now?: string | undefined;
  readonly tests: readonly TableRow[];
}

/** All tables at and below `paths`, in byte order of their names. @throws CommandFault when one is no table */
export async function readTestTables(paths: readonly string[], context: CommandContext): Promise<readonly TestTable[]> {
  const files: string[] = [];
  for (const path of paths) files.push(...(await testFilesAt(path, context)));
  return Promise.all([...new Set(files)].map(async (file) => parseTable(await readRequired(file, context), file)));
}

async function testFilesAt(path: string, { cwd }: CommandContext): Promise<readonly string[]> {
  try {
    if (!(await stat(resolve(cwd, path))).isDirectory()) return [path];
    const entries = await readdir(resolve(cwd, path), { recursive: true });
    return entries
      .filter((entry) => isTestFile(entry) && !entry.split('/').some((part) => part.startsWith('.')))
      .toSorted()
      .map((entry) => join(path, entry));
  } catch (error) {
    throw new CommandFault(EXIT_BAD_DATA, `${path}: ${systemReason(error)}`, { cause: error });
  }
}

/** The table in `text`. @throws CommandFault with file, line and field */
function parseTable(text: string, file: string): TestTable {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { prettyErrors: true, lineCounter });
  const [error] = document.errors;
  if (error !== undefined)
    throw new CommandFault(EXIT_BAD_DATA, `${file}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0] ?? ''}`);
  const result = tableSchema.safeParse(document.toJS());
  if (result.success) return { ...result.data, file };
  const [issue] = result.error.issues;
  throw new CommandFault(
    EXIT_BAD_DATA,
    `${file}:${lineOf(document, lineCounter, issue?.path ?? [])}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'no test table'}`,
  );
}

/** The line of a field, or of what is nearest above it. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
