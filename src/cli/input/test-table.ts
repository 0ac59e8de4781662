/*
 * Reads tables of policy tests, `*.sallyport-test.yaml`, and checks their form.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Document, isNode, type LineCounter } from 'yaml';
import * as z from 'zod';
import { parseYamlDocument } from '../../api/kube/yaml-documents.ts';
import type { ExplainedVerdict } from '../../explain/explanation.ts';
import type { Expected } from '../../explain/run-tests.ts';
import type { Json } from '../../policy/facts.ts';
import { isBelow } from '../../regular-file.ts';
import { isTestFile } from '../../state/manifests.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { errorReason } from './error-reason.ts';
import { requireInput } from './read-file.ts';
import { type RequestSpec, requestSchema } from './request-spec.ts';
import { WORKLOAD_PATTERN } from './workload-argument.ts';

const jsonSchema = z.json();
const verdictSchema = z.enum(['allow', 'deny', 'unauthenticated', 'reject']);
const workloadSchema = z.union([
  z.string().regex(WORKLOAD_PATTERN, 'expected namespace/name or namespace/kind/name'),
  z.strictObject({ namespace: z.string(), kind: z.string().optional(), name: z.string(), labels: z.record(z.string(), z.string()) }),
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

/** A workload: `namespace/name` or `namespace/kind/name`, or with the labels of its pod, which need no manifest. */
export type TableWorkload =
  | string
  | {
      readonly namespace: string;
      readonly kind?: string | undefined;
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
    };

/** A token: literal, in a file next to the table, or claims to sign for the run. */
export type TableToken =
  | string
  | { readonly file: string }
  | { readonly claims: Readonly<Record<string, Json>>; readonly expiresInSeconds?: number | undefined };

/** One test. */
export interface TableRow {
  readonly name: string;
  /** Absent: the table's. */
  readonly workload?: TableWorkload | undefined;
  readonly request: RequestSpec;
  readonly token?: TableToken | undefined;
  readonly authorizer?: 'allow' | 'deny' | undefined;
  /** Time of this request in ISO 8601; absent: the table's. */
  readonly now?: string | undefined;
  /** A string is the expected verdict. */
  readonly expect: ExplainedVerdict['outcome'] | Expected;
}

/** One file of tests. */
export interface TestTable {
  /** As on the command line. */
  readonly file: string;
  /** Relative to the directory of the table; absent: that directory. */
  readonly manifests?: readonly string[] | undefined;
  readonly workload?: TableWorkload | undefined;
  /** Time of the requests in ISO 8601; absent: now. */
  readonly now?: string | undefined;
  readonly tests: readonly TableRow[];
}

/** All tables at and below `paths`; those of a directory in byte order of names. @throws CommandError when a file is not a valid table */
export async function readTestTables(paths: readonly string[], context: CommandContext): Promise<readonly TestTable[]> {
  const files: string[] = [];
  for (const path of paths) files.push(...(await testFilesAt(path, context)));
  return Promise.all([...new Set(files)].map(async (file) => parseTable(await requireInput(file, context), file)));
}

async function testFilesAt(path: string, { cwd }: CommandContext): Promise<readonly string[]> {
  try {
    if (!(await stat(resolve(cwd, path))).isDirectory()) return [path];
    const entries = await readdir(resolve(cwd, path), { recursive: true });
    const files = entries
      .filter((entry) => isTestFile(entry) && !entry.split('/').some((part) => part.startsWith('.')))
      .toSorted()
      .map((entry) => join(path, entry));
    for (const file of files) {
      if (!(await isBelow(resolve(cwd, path), resolve(cwd, file)))) throw new Error(`${file} is a link to a file outside of the directory`);
    }
    return files;
  } catch (error) {
    throw new CommandError(EXIT_BAD_DATA, `${path}: ${errorReason(error)}`, { cause: error });
  }
}

/** The table in `text`. @throws CommandError that names file, line and field */
function parseTable(text: string, file: string): TestTable {
  const { document, lineCounter, error } = parseYamlDocument(text);
  if (error !== undefined) throw new CommandError(EXIT_BAD_DATA, `${file}:${error.line}: ${error.message}`);
  const result = tableSchema.safeParse(document.toJS());
  if (result.success) return { ...result.data, file };
  const [issue] = result.error.issues;
  throw new CommandError(
    EXIT_BAD_DATA,
    `${file}:${lineOf(document, lineCounter, issue?.path ?? [])}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a test table'}`,
  );
}

/** The line of a field, or of its nearest ancestor that exists. */
function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
