/*
 * `sallyport diff A B`: which decisions change from one set of policies to another. In: two folders or bundles, and requests
 * from a file or made up. Out: the requests whose verdict flips, by what decided on either side.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { diffDecisions, type Flip } from '../../explain/diff-decisions.ts';
import type { Enforced } from '../../explain/explain-request.ts';
import { generateRequests } from '../../explain/generate-requests.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import type { RawRequest } from '../../judge/verdict.ts';
import { type CommandContext, CommandFault, type CommandHost } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_FINDINGS, EXIT_OK, EXIT_USAGE } from '../exit-codes.ts';
import { type CorpusEntry, parseCorpus } from '../input/corpus.ts';
import { type KeySetOf, type PolicySet, policySetOf, policySetOfBundle, readKeySets, type Target } from '../input/policy-set.ts';
import { readConfig } from '../input/read-config.ts';
import { readManifests } from '../input/read-manifests.ts';
import { readRequired } from '../input/request-flags.ts';
import { readSpec } from '../input/request-spec.ts';
import { withToken } from '../input/with-token.ts';
import { formatFindingLine, plural } from '../output/findings.ts';
import { flipsValue, formatFlips, type ShownFlip } from '../output/flips.ts';
import { createProgress, type Progress } from '../output/progress.ts';
import { formatStructured, type OutputFormat, outputOption } from '../output/structured.ts';
import { readTime } from './explain.ts';

interface DiffOptions {
  readonly config?: string;
  readonly requests?: string;
  readonly generate?: number;
  readonly seed: number;
  readonly workload?: string;
  readonly jwks: readonly string[];
  readonly at?: string;
  readonly output: OutputFormat;
}

export function addDiffCommand(program: Command, { context, finish }: CommandHost): void {
  program
    .command('diff')
    .summary('show which decisions flip between two sets of policies')
    .description(
      'Judges the same requests under two sets of policies and tells whose verdict differs, and which rule decided on either side. Requests come from a file (an HTTP archive, or a JSON object a line) or are made up from the words of both sets. Exit code 0: no decision flips; 79: some do.',
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
    .addOption(outputOption())
    .action(async (a: string, b: string, options: DiffOptions) => {
      if ((options.requests === undefined) === (options.generate === undefined)) {
        throw new CommandFault(EXIT_USAGE, 'give requests once: by --requests or by --generate');
      }
      const { mesh } = await readConfig(options.config, context);
      const keySetOf = await readKeySets(options.jwks, context);
      const [before, after] = [await readSide(a, { mesh, keySetOf, context }), await readSide(b, { mesh, keySetOf, context })];
      const corpus =
        options.requests === undefined ? undefined : parseCorpus(await readRequired(options.requests, context), options.requests);
      const testKey = createTestKey();
      const nowSeconds = readTime(options.at);
      const progress = createProgress(context.stderr);
      const shared = { corpus, options, testKey, nowSeconds, progress };
      const compared = sharedWorkloads(before, after, options.workload, context).map((workload) =>
        compareWorkload({ before: before.target(workload, undefined), after: after.target(workload, undefined) }, shared),
      );
      const flips = compared.flatMap((one) => one.flips);
      const requests = compared.reduce((sum, one) => sum + one.requests, 0);
      progress.clear();
      context.stdout.write(
        options.output === 'table' ? formatFlips(flips, context.stdout) : formatStructured(flipsValue(requests, flips), options.output),
      );
      const seed = options.generate === undefined ? '' : ` (seed ${options.seed})`;
      context.stderr.write(`${plural(requests, 'request')}${seed}, ${plural(flips.length, 'flip')}\n`);
      finish(flips.length === 0 ? EXIT_OK : EXIT_FINDINGS);
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
  if (isFile && path.endsWith('.json')) return policySetOfBundle(await readRequired(path, context), path);
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

interface Shared {
  readonly corpus: readonly CorpusEntry[] | undefined;
  readonly options: DiffOptions;
  readonly testKey: TestKey;
  readonly nowSeconds: number;
  readonly progress: Progress;
}

interface Sides {
  readonly before: Target;
  readonly after: Target;
}

/** Requests with claims are judged with the test key for every issuer, those with literal tokens with the real keys. */
function compareWorkload(sides: Sides, shared: Shared): { readonly flips: readonly ShownFlip[]; readonly requests: number } {
  const { testKey, nowSeconds, progress } = shared;
  const { workload } = sides.before;
  const entries = shared.corpus ?? madeUp(sides, shared.options);
  const groups = Map.groupBy(readEntries(entries, workload, testKey), ({ isSigned }) => isSigned);
  const signed = ({ program }: Enforced): Enforced => ({ program, keySets: testKey.keySetsFor(program) });
  const flips = [...groups].flatMap(([isSigned, requests]) => {
    const both = isSigned ? { before: signed(sides.before), after: signed(sides.after) } : sides;
    const found = diffDecisions(
      both,
      requests.map(({ request }) => request),
      nowSeconds,
      (done) => progress.show(`${workload}: ${done} of ${plural(requests.length, 'request')} judged`),
    );
    return found.flatMap((flip) => showFlip(flip, workload, requests[flip.index]));
  });
  return { flips: flips.toSorted((one, other) => one.flip.index - other.flip.index), requests: entries.length };
}

function madeUp({ before, after }: Sides, { generate = 0, seed }: DiffOptions): readonly CorpusEntry[] {
  return generateRequests([before.program, after.program], generate, seed).map(({ claims, ...spec }) => ({ spec, claims }));
}

interface Entry {
  /** In the whole corpus. */
  readonly index: number;
  readonly request: RawRequest;
  readonly claims: CorpusEntry['claims'];
  readonly isSigned: boolean;
}

/** What the codec refuses is refused on both sides, and is left out. */
function readEntries(entries: readonly CorpusEntry[], workload: string, testKey: TestKey): readonly Entry[] {
  const [namespace = '', name = ''] = workload.split('/');
  return entries.flatMap(({ spec, token, claims }, index) => {
    const read = readSpec(withToken(spec, claims === undefined ? token : testKey.sign(claims)), `${name}.${namespace}`);
    return read.kind === 'fault' ? [] : [{ index, request: read.request, claims, isSigned: claims !== undefined }];
  });
}

function showFlip(flip: Flip, workload: string, entry: Entry | undefined): readonly ShownFlip[] {
  return entry === undefined ? [] : [{ workload, flip: { ...flip, index: entry.index }, request: entry.request, claims: entry.claims }];
}

function parseNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a number from 0 to 9999999 is wanted.');
  return Number(text);
}
