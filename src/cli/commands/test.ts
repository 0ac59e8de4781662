/*
 * `sallyport test DIR`: tables of requests with expected verdicts, run against the policies beside them. In: folders. Out: a
 * report for people or build servers, coverage of rules, and an exit code.
 */
import { dirname, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Policy } from '../../api/istio/resources.ts';
import { parseWorkloadKey, workloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { codecRefusal } from '../../explain/codec-refusal.ts';
import { coverageOf } from '../../explain/coverage.ts';
import { explainMessages } from '../../explain/explain-request.ts';
import { type Expected, type PolicyTest, runTests } from '../../explain/run-tests.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import { type CommandContext, CommandFault, type CommandHost } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK } from '../exit-codes.ts';
import { type KeySetOf, type PolicySet, policySetOf, readKeySets, type Target } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { readRequired } from '../input/request-flags.ts';
import { readSpec } from '../input/request-spec.ts';
import { readTestTables, type TableRow, type TableToken, type TableWorkload, type TestTable } from '../input/test-file.ts';
import { withToken } from '../input/with-token.ts';
import { formatFindingLine } from '../output/findings.ts';
import { formatTestCount, formatTestReport, type TestReportFormat } from '../output/test-report.ts';
import { readTime } from './explain.ts';

interface TestOptions {
  readonly config?: string;
  readonly jwks: readonly string[];
  readonly minCoverage?: number;
  readonly filter?: string;
  readonly output: TestReportFormat;
}

/** What every row of one run shares. */
interface Run {
  readonly context: CommandContext;
  readonly mesh: MeshConfig;
  readonly keySetOf: KeySetOf;
  readonly testKey: TestKey;
  /** By the file names of a table, so that tables of one folder share one set. */
  readonly sets: Map<string, PolicySet>;
}

const FULL = 100;

export function addTestCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('test')
    .summary('run tables of requests and expected verdicts against policies')
    .description(
      'Finds *.sallyport-test.yaml, judges every request in them under the policies beside them exactly as an agent does, and compares the verdicts. Claims in a table are signed for the run with a key that stands for every issuer. Exit code 79: a test failed, or coverage is below --min-coverage. See docs/tasks/test-policies-in-ci.md.',
    )
    .argument('<dir...>', 'folders to look for tables in, or tables')
    .option('--config <file>', 'configuration of the controller: root namespace, extension providers, path normalization')
    .addOption(
      new Option('--jwks <file>', 'keys for literal tokens, of rules that have none inline; `ISSUER=FILE`: of one issuer; may be repeated')
        .argParser((file: string, before: readonly string[]) => [...before, file])
        .default([], 'none'),
    )
    .addOption(new Option('--min-coverage <percent>', 'lowest share of rules that tests must reach').argParser(parsePercent))
    .option('--filter <text>', 'only tests whose name, or whose table, holds this text')
    .addOption(
      new Option('-o, --output <format>', 'form of the output').choices(['table', 'json', 'yaml', 'junit', 'tap']).default('table'),
    )
    .action(async (paths: string[], options: TestOptions) => {
      const { mesh } = await readConfig(options.config, context);
      const all = await readTestTables(paths, context);
      const tables = all.flatMap((table) => filtered(table, options.filter));
      if (tables.length === 0)
        throw new CommandFault(
          EXIT_BAD_DATA,
          all.length === 0 ? `no *.sallyport-test.yaml in ${paths.join(', ')}` : `no test holds ${options.filter}`,
        );
      const run: Run = { context, mesh, keySetOf: await readKeySets(options.jwks, context), testKey: createTestKey(), sets: new Map() };
      const suites = [];
      for (const table of tables) suites.push({ file: table.file, results: runTests(await testsOf(table, run)) });
      const results = suites.flatMap((suite) => suite.results);
      const coverage = coverageOf(
        eachPolicyOnce([...run.sets.values()]),
        results.map(({ explanation }) => explanation),
      );
      const report = { suites, coverage };
      context.stdout.write(formatTestReport(report, options.output, context.stdout));
      const enough = coverage.percent >= (options.minCoverage ?? 0);
      context.stderr.write(`${formatTestCount(report)}${enough ? '' : `; ${options.minCoverage} % are wanted`}\n`);
      finish(enough && results.every(({ passed }) => passed) ? EXIT_OK : EXIT_FINDINGS);
    });
}

/** The table with the tests that are asked for; none when it has none of them. */
function filtered(table: TestTable, text: string | undefined): readonly TestTable[] {
  const tests = text === undefined || table.file.includes(text) ? table.tests : table.tests.filter(({ name }) => name.includes(text));
  return tests.length === 0 ? [] : [{ ...table, tests }];
}

async function testsOf(table: TestTable, run: Run): Promise<readonly PolicyTest[]> {
  const set = await policiesOf(table, run);
  const nowSeconds = readTime(table.now);
  const tests: PolicyTest[] = [];
  for (const row of table.tests)
    tests.push(await testOf(row, { table, set, nowSeconds: row.now === undefined ? nowSeconds : readTime(row.now), run }));
  return tests;
}

interface RowPlace {
  readonly table: TestTable;
  readonly set: PolicySet;
  readonly nowSeconds: number;
  readonly run: Run;
}

async function testOf(row: TableRow, { table, set, nowSeconds, run }: RowPlace): Promise<PolicyTest> {
  const workload = row.workload ?? table.workload;
  if (workload === undefined) throw new CommandFault(EXIT_BAD_DATA, `${table.file}: ${row.name}: names no workload, nor does the table`);
  const target = targetOf(set, workload);
  const isMade = typeof row.token === 'object' && 'claims' in row.token;
  const enforced = isMade ? { program: target.program, keySets: run.testKey.keySetsFor(target.program) } : target;
  const token = row.token === undefined ? undefined : await tokenText(row.token, { table, nowSeconds, run });
  const { namespace, name } = parseWorkloadKey(target.workload);
  const read = readSpec(withToken(row.request, token), `${name}.${namespace}`);
  return {
    name: row.name,
    expected: expectedOf(row.expect),
    explain: () =>
      read.kind === 'reply'
        ? { explanation: codecRefusal(read) }
        : explainMessages(enforced, read.request, nowSeconds, row.authorizer === undefined ? {} : { authorizer: row.authorizer }),
  };
}

function expectedOf(expected: TableRow['expect']): Expected {
  return typeof expected === 'string' ? { verdict: expected } : expected;
}

async function policiesOf({ file, manifests = ['.'] }: TestTable, { context, mesh, keySetOf, sets }: Run): Promise<PolicySet> {
  const paths = manifests.map((path) => join(dirname(file), path));
  const key = JSON.stringify(paths);
  const known = sets.get(key);
  if (known !== undefined) return known;
  const read = await readManifests(paths, context);
  const set = policySetOf(read, mesh, keySetOf);
  for (const finding of set.findings) context.stderr.write(`${formatFindingLine(finding)}\n`);
  if (!read.isComplete) throw new CommandFault(EXIT_BAD_DATA, `${file}: not every manifest of this table could be read`);
  sets.set(key, set);
  return set;
}

function targetOf(set: PolicySet, workload: TableWorkload): Target {
  if (typeof workload === 'string') return set.target(workload, undefined);
  return set.target(workloadKey(workload), workload.labels);
}

async function tokenText(token: TableToken, { table, nowSeconds, run }: Omit<RowPlace, 'set'>): Promise<string> {
  if (typeof token === 'string') return token;
  if ('file' in token) return (await readRequired(join(dirname(table.file), token.file), run.context)).trim();
  const { claims, expiresInSeconds } = token;
  return run.testKey.sign(expiresInSeconds === undefined ? claims : { ...claims, exp: nowSeconds + expiresInSeconds });
}

/** Tables may try versions of one policy: of equal names the one with most rules counts. */
function eachPolicyOnce(sets: readonly PolicySet[]): readonly Policy[] {
  const policyByName = new Map<string, Policy>();
  const size = (policy: Policy | undefined): number => JSON.stringify(policy?.spec ?? '').length;
  for (const policy of sets.flatMap(({ policies }) => policies ?? [])) {
    const key = `${policy.kind} ${policy.metadata.namespace}/${policy.metadata.name}`;
    if (size(policy) > size(policyByName.get(key))) policyByName.set(key, policy);
  }
  return [...policyByName.values()];
}

function parsePercent(text: string): number {
  const percent = /^\d{1,3}$/.test(text) ? Number(text) : FULL + 1;
  if (percent > FULL) throw new InvalidArgumentError('a whole number from 0 to 100 is wanted.');
  return percent;
}
