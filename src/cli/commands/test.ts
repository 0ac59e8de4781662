/*
 * `sallyport test DIR`: runs tables of requests with expected verdicts against the policies next to them, and measures which
 * rules the tests reach.
 */
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { explainCodecRejection } from '../../explain/codec-rejection.ts';
import { coverageOf } from '../../explain/coverage.ts';
import { explainMessages } from '../../explain/explain-request.ts';
import { type Expected, type PolicyTest, runTests } from '../../explain/run-tests.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import { type CommandContext, CommandError, type CommandHost } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../context/exit-codes.ts';
import { configOption, integerParser, jwksOption, parseTime } from '../input/common-options.ts';
import { insertToken } from '../input/insert-token.ts';
import { type KeySetOf, readKeySets } from '../input/key-sets.ts';
import { withPodPort } from '../input/pod-port.ts';
import { type PolicySet, policySetOf } from '../input/policy-set.ts';
import type { Target } from '../input/policy-target.ts';
import { readConfig } from '../input/read-config.ts';
import { requireInput } from '../input/read-file.ts';
import { readManifests } from '../input/read-manifests.ts';
import { readSpec } from '../input/request-spec.ts';
import { readTestTables, type TableRow, type TableToken, type TableWorkload, type TestTable } from '../input/test-table.ts';
import { writeFindingLines } from '../output/findings.ts';
import { outputOption } from '../output/structured.ts';
import { formatTestCount, formatTestReport, type TestReport, type TestReportFormat } from '../output/test-report.ts';
import { writeDocument, writeText } from '../terminal/writers.ts';

interface TestOptions {
  readonly config?: string;
  readonly jwks: readonly string[];
  readonly minCoverage?: number;
  readonly filter?: string;
  readonly output: TestReportFormat;
}

/** What all tests of one run share. */
interface TestRun {
  readonly context: CommandContext;
  readonly mesh: MeshConfig;
  readonly keySetOf: KeySetOf;
  readonly testKey: TestKey;
  /** By the manifest paths of a table, so that the tables of one directory share a set. */
  readonly sets: Map<string, PolicySet>;
}

const MAX_PERCENT = 100;

/** Adds `test` to the program. */
export function addTestCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('test')
    .summary('test policies with tables of requests and expected verdicts')
    .description(
      'Finds *.sallyport-test.yaml, evaluates every request in them under the policies next to them exactly as an agent does, and compares the verdicts. Claims in a table are signed for the run with a key that stands for every issuer. Exit code 79: a test failed, or coverage is below --min-coverage. See docs/tasks/test-policies-in-ci.md.',
    )
    .argument('<dir...>', 'directories to search for tables, or tables')
    .addOption(configOption())
    .addOption(jwksOption('keys for literal tokens, of rules without inline keys'))
    .addOption(
      new Option('--min-coverage <percent>', 'lowest share of rules that the tests must reach').argParser(integerParser(0, MAX_PERCENT)),
    )
    .option('--filter <text>', 'only tests whose name, or whose table file, contains this text')
    .addOption(outputOption('junit', 'tap'))
    .action(async (paths: string[], options: TestOptions) => {
      const report = await runTables(paths, options, context);
      const text = formatTestReport(report, options.output, context.stdout);
      if (options.output === 'table') writeText(context.stdout, text);
      else writeDocument(context.stdout, text);
      const { minCoverage = 0 } = options;
      const isCovered = report.coverage.percent >= minCoverage;
      writeText(context.stderr, `${formatTestCount(report)}${isCovered ? '' : `; expected at least ${minCoverage} %`}\n`);
      const isPassed = report.suites.every(({ results }) => results.every(({ passed }) => passed));
      finish(isCovered && isPassed ? EXIT_OK : EXIT_FINDINGS);
    });
}

async function runTables(paths: readonly string[], options: TestOptions, context: CommandContext): Promise<TestReport> {
  const { mesh } = await readConfig(options.config, context);
  const all = await readTestTables(paths, context);
  const tables = all.flatMap((table) => filterTable(table, options.filter));
  if (tables.length === 0)
    throw new CommandError(
      EXIT_BAD_DATA,
      all.length === 0 ? `no *.sallyport-test.yaml in ${paths.join(', ')}` : `no test matches the filter "${options.filter}"`,
    );
  const run: TestRun = { context, mesh, keySetOf: await readKeySets(options.jwks, context), testKey: createTestKey(), sets: new Map() };
  const suites: { file: string; results: ReturnType<typeof runTests> }[] = [];
  for (const table of tables) suites.push({ file: table.file, results: runTests(await testsOf(table, run)) });
  for (const set of run.sets.values()) writeFindingLines(set.compiledFindings(), context.stderr);
  const explanations = suites.flatMap(({ results }) => results.map(({ explanation }) => explanation));
  return { suites, coverage: coverageOf(distinctPolicies([...run.sets.values()]), explanations) };
}

/** The table with the tests that match the filter; empty when none do. */
function filterTable(table: TestTable, text: string | undefined): readonly TestTable[] {
  const tests = text === undefined || table.file.includes(text) ? table.tests : table.tests.filter(({ name }) => name.includes(text));
  return tests.length === 0 ? [] : [{ ...table, tests }];
}

async function testsOf(table: TestTable, run: TestRun): Promise<readonly PolicyTest[]> {
  const set = await policySetFor(table, run);
  const nowSeconds = parseTime(table.now);
  const tests: PolicyTest[] = [];
  for (const row of table.tests)
    tests.push(await policyTest(row, { table, set, nowSeconds: row.now === undefined ? nowSeconds : parseTime(row.now), run }));
  return tests;
}

/** What a row is evaluated with. */
interface RowContext {
  readonly table: TestTable;
  readonly set: PolicySet;
  readonly nowSeconds: number;
  readonly run: TestRun;
}

async function policyTest(row: TableRow, { table, set, nowSeconds, run }: RowContext): Promise<PolicyTest> {
  const workload = row.workload ?? table.workload;
  if (workload === undefined)
    throw new CommandError(EXIT_BAD_DATA, `${table.file}: ${row.name}: neither the test nor the table names a workload`);
  const target = targetOf(set, workload);
  const isSigned = typeof row.token === 'object' && 'claims' in row.token;
  const enforced = isSigned ? { program: target.program, keySets: run.testKey.keySetsFor(target.program) } : target;
  const token = row.token === undefined ? undefined : await tokenText(row.token, { table, nowSeconds, run });
  const { namespace, name } = parseWorkloadKey(target.workload);
  const { read } = withPodPort(readSpec(insertToken(row.request, token), `${name}.${namespace}`), row.request, { set, target });
  return {
    name: row.name,
    expected: expectedOf(row.expect),
    explain: () =>
      read.kind === 'reply'
        ? { explanation: explainCodecRejection(read) }
        : explainMessages(enforced, read.request, nowSeconds, row.authorizer === undefined ? {} : { authorizer: row.authorizer }),
  };
}

function expectedOf(expected: TableRow['expect']): Expected {
  return typeof expected === 'string' ? { verdict: expected } : expected;
}

async function policySetFor({ file, manifests = ['.'] }: TestTable, { context, mesh, keySetOf, sets }: TestRun): Promise<PolicySet> {
  const paths = manifests.map((path) => join(dirname(file), path));
  const key = JSON.stringify(paths);
  const known = sets.get(key);
  if (known !== undefined) return known;
  const read = await readManifests(paths, context);
  const set = policySetOf(read, mesh, keySetOf);
  writeFindingLines(set.findings, context.stderr);
  if (!read.isComplete) throw new CommandError(EXIT_BAD_DATA, `${file}: not every manifest of this table could be read`);
  sets.set(key, set);
  return set;
}

function targetOf(set: PolicySet, workload: TableWorkload): Target {
  if (typeof workload === 'string') return set.target(workload, undefined);
  return set.target(workloadKey({ ...workload, kind: workload.kind ?? 'deployment' }), workload.labels);
}

async function tokenText(token: TableToken, { table, nowSeconds, run }: Omit<RowContext, 'set'>): Promise<string> {
  if (typeof token === 'string') return token;
  if ('file' in token) return (await requireInput(join(dirname(table.file), token.file), run.context)).trim();
  const { claims, expiresInSeconds } = token;
  return run.testKey.sign(expiresInSeconds === undefined ? claims : { ...claims, exp: nowSeconds + expiresInSeconds });
}

/** Tables may test several versions of one policy: of policies with equal names, the one with the longest spec counts. */
function distinctPolicies(sets: readonly PolicySet[]): readonly Policy[] {
  const policyByName = new Map<string, Policy>();
  const size = (policy: Policy | undefined): number => JSON.stringify(policy?.spec ?? '').length;
  for (const policy of sets.flatMap(({ policies }) => policies ?? [])) {
    const key = `${policy.kind} ${policy.metadata.namespace}/${policy.metadata.name}`;
    if (size(policy) > size(policyByName.get(key))) policyByName.set(key, policy);
  }
  return [...policyByName.values()];
}
