/*
 * `sallyport diff A B`: which decisions change from one set of policies to another. In: two folders or bundles, and requests
 * from a file or made up. Out: how many verdicts flip by which two rules, with examples.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { createComparison } from '../../explain/diff-decisions.ts';
import type { Enforced } from '../../explain/explain-request.ts';
import { generateRequests } from '../../explain/generate-requests.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import { type CommandContext, CommandFault, type CommandHost } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE, EXIT_FINDINGS, EXIT_OK, EXIT_USAGE } from '../exit-codes.ts';
import { type CorpusEntry, readCorpus } from '../input/corpus.ts';
import {
  isBundleText,
  type KeySetOf,
  type PolicySet,
  policySetOf,
  policySetOfBundle,
  readKeySets,
  type Target,
} from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { readRequired } from '../input/request-flags.ts';
import { readSpec } from '../input/request-spec.ts';
import { withToken } from '../input/with-token.ts';
import { formatFindingLine, plural } from '../output/findings.ts';
import { createFlipGroups, type FlipGroup, type FlipGroups, flipGroupValue, formatFlips } from '../output/flips.ts';
import { createProgress } from '../output/progress.ts';
import { formatStructured, type OutputFormat, outputOption } from '../output/structured.ts';
import { readTime } from './explain.ts';

const PROGRESS_STEP = 1000;
const MAX_TOKENS = 10_000;

interface DiffOptions {
  readonly config?: string;
  readonly requests?: string;
  readonly generate?: number;
  readonly seed: number;
  readonly workload?: string;
  readonly jwks: readonly string[];
  readonly at?: string;
  readonly examples: number;
  readonly output: OutputFormat;
}

export function addDiffCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('diff')
    .summary('show which decisions flip between two sets of policies')
    .description(
      'Judges the same requests under two sets of policies and tells how many verdicts differ, gathered by the two rules that decided, with an example of each. Requests come from a file (an HTTP archive, or a JSON object a line) or are made up from the words of both sets. Exit code 0: no decision flips; 79: some do.',
    )
    .argument('<a>', 'before: a folder or file of manifests, or a bundle in JSON')
    .argument('<b>', 'after: likewise')
    .option(
      '--requests <file>',
      'requests: HAR, or JSON lines with method, path or url, host, headers, sourceIp, peer, port, token or claims; - for standard input',
    )
    .addOption(new Option('--generate <n>', 'make up so many requests').argParser(parseNumber))
    .addOption(new Option('--seed <n>', 'seed of the made-up requests').argParser(parseNumber).default(1, '1'))
    .option('--workload <namespace/name>', 'only this workload (default: every one that both sets have)')
    .option('--config <file>', 'configuration of the controller: root namespace, extension providers, path normalization')
    .addOption(
      new Option('--jwks <file>', 'keys for literal tokens, of rules that have none inline; `ISSUER=FILE`: of one issuer; may be repeated')
        .argParser((file: string, before: readonly string[]) => [...before, file])
        .default([], 'none'),
    )
    .option('--at <time>', 'the time to judge at, e.g. 2026-01-31T12:00:00Z (default: now)')
    .addOption(
      new Option('--examples <n>', 'how many requests to show of those that flip by the same two rules')
        .argParser(parseCount)
        .default(1, '1'),
    )
    .addOption(outputOption())
    .action(async (a: string, b: string, options: DiffOptions) => {
      if ((options.requests === undefined) === (options.generate === undefined)) {
        throw new CommandFault(EXIT_USAGE, 'give requests once: by --requests or by --generate');
      }
      const { mesh } = await readConfig(options.config, context);
      const keySetOf = await readKeySets(options.jwks, context);
      const [before, after] = [await readSide(a, { mesh, keySetOf, context }), await readSide(b, { mesh, keySetOf, context })];
      const sides = sharedWorkloads(before, after, options.workload, context).map((workload) => ({
        before: before.target(workload, undefined),
        after: after.target(workload, undefined),
      }));
      const { requests, flips, groups } = await compare(sides, options, context);
      const value = { requests, flips, groups: groups.map(flipGroupValue) };
      context.stdout.write(options.output === 'table' ? formatFlips(groups, context.stdout) : formatStructured(value, options.output));
      const seed = options.generate === undefined ? '' : ` (seed ${options.seed})`;
      context.stderr.write(`${plural(requests, 'request')}${seed}, ${plural(flips, 'flip')}\n`);
      finish(flips === 0 ? EXIT_OK : EXIT_FINDINGS);
    });
}

interface SideContext {
  readonly mesh: MeshConfig;
  readonly keySetOf: KeySetOf;
  readonly context: CommandContext;
}

async function readSide(path: string, { mesh, keySetOf, context }: SideContext): Promise<PolicySet> {
  const isFile = await stat(resolve(context.cwd, path)).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile && path.endsWith('.json')) {
    const text = await readRequired(path, context);
    if (isBundleText(text, path)) return policySetOfBundle(text, path);
  }
  const manifests = await readManifests([path], context);
  const set = policySetOf(manifests, mesh, keySetOf);
  for (const finding of set.findings) context.stderr.write(`${formatFindingLine(finding)}\n`);
  if (!manifests.isComplete) throw new CommandFault(EXIT_BAD_DATA, `${path}: not every file could be read, so nothing is compared`);
  return set;
}

function sharedWorkloads(before: PolicySet, after: PolicySet, wanted: string | undefined, { stderr }: CommandContext): readonly string[] {
  if (wanted !== undefined) return [wanted];
  const shared = before.workloads.filter((workload) => after.workloads.includes(workload));
  const lonely = [...before.workloads, ...after.workloads].filter((workload) => !shared.includes(workload));
  for (const workload of lonely) stderr.write(`sallyport: ${workload} is in one set only and not compared\n`);
  if (shared.length === 0) throw new CommandFault(EXIT_BAD_DATA, 'the two sets have no workload in common');
  return shared;
}

interface Sides {
  readonly before: Target;
  readonly after: Target;
}

interface Compared {
  readonly requests: number;
  readonly flips: number;
  readonly groups: readonly FlipGroup[];
}

/** Requests are judged one by one as they come, so that any number of them takes no more memory than one. */
async function compare(sides: readonly Sides[], options: DiffOptions, context: CommandContext): Promise<Compared> {
  const progress = createProgress(context.stderr);
  const found = createFlipGroups(options.examples);
  const sign = rememberingSign(createTestKey());
  const compareByWorkload = new Map(sides.map((pair) => [pair, createWorkloadComparison(pair, readTime(options.at), sign)]));
  let [requests, flips] = [0, 0];
  try {
    for await (const { pair, entry, index } of turns(sides, options, context)) {
      if (context.signal.aborted) throw new CommandFault(EXIT_FAILURE, `stopped after ${plural(requests, 'request')}`);
      requests += 1;
      if (compareByWorkload.get(pair)?.(entry, index, found) === true) flips += 1;
      if (requests % PROGRESS_STEP !== 0) continue;
      progress.show(`${plural(requests, 'request')} judged, ${plural(flips, 'flip')}`);
      // Made-up requests never wait for anything, and Ctrl-C would wait for the last of them.
      await setImmediate();
    }
  } finally {
    progress.clear();
  }
  return { requests, flips, groups: found.groups() };
}

/** A request that is up for one workload. */
interface Turn {
  readonly pair: Sides;
  readonly entry: CorpusEntry;
  /** Among the requests of the file, or of those made up for the workload. */
  readonly index: number;
}

async function* turns(
  sides: readonly Sides[],
  { requests, generate = 0, seed }: DiffOptions,
  context: CommandContext,
): AsyncGenerator<Turn> {
  let index = 0;
  if (requests !== undefined) {
    for await (const entry of readCorpus(requests, context)) {
      for (const pair of sides) yield { pair, entry, index };
      index += 1;
    }
    return;
  }
  for (const pair of sides) {
    index = 0;
    for (const { claims, ...spec } of generateRequests([pair.before.program, pair.after.program], generate, seed)) {
      yield { pair, entry: { spec, claims }, index: index++ };
    }
  }
}

/** Judges an entry on both sides and adds what flips. @returns did it flip? */
type WorkloadComparison = (entry: CorpusEntry, index: number, found: FlipGroups) => boolean;

/** Requests with claims are judged with the test key for every issuer, those with literal tokens with the real keys. */
function createWorkloadComparison(sides: Sides, nowSeconds: number, { sign, keySetsFor }: TestKey): WorkloadComparison {
  const { workload } = sides.before;
  const { namespace, name } = parseWorkloadKey(workload);
  const signed = ({ program }: Enforced): Enforced => ({ program, keySets: keySetsFor(program) });
  const compareReal = createComparison(sides, nowSeconds);
  const compareSigned = createComparison({ before: signed(sides.before), after: signed(sides.after) }, nowSeconds);
  return ({ spec, token, claims }, index, found) => {
    const read = readSpec(withToken(spec, claims === undefined ? token : sign(claims)), `${name}.${namespace}`);
    // What the codec refuses is refused on both sides.
    if (read.kind === 'reply') return false;
    const flip = (claims === undefined ? compareReal : compareSigned)(read.request);
    if (flip !== undefined) found.add(workload, flip, { index, request: read.request, claims });
    return flip !== undefined;
  };
}

/** Recorded requests come from few callers, and signing costs more than judging. */
function rememberingSign({ sign, keySetsFor }: TestKey): TestKey {
  const tokenByClaims = new Map<string, string>();
  return {
    keySetsFor,
    sign(claims) {
      const text = JSON.stringify(claims);
      const token = tokenByClaims.get(text) ?? sign(claims);
      if (tokenByClaims.size === MAX_TOKENS) tokenByClaims.clear();
      tokenByClaims.set(text, token);
      return token;
    },
  };
}

function parseNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a number from 0 to 9999999 is wanted.');
  return Number(text);
}

function parseCount(text: string): number {
  const count = parseNumber(text);
  if (count === 0) throw new InvalidArgumentError('at least 1 is wanted.');
  return count;
}
