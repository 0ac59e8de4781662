/*
 * The work of `sallyport diff`: evaluates a stream of requests on both sides and groups the decisions that differ. Requests are
 * evaluated one at a time, so that memory does not grow with their number.
 */
import { setImmediate } from 'node:timers/promises';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import { createComparison } from '../../explain/diff-decisions.ts';
import type { Enforced } from '../../explain/evaluate-to-end.ts';
import { generateRequests } from '../../explain/generate-requests.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_FAILURE } from '../context/exit-codes.ts';
import { type CorpusEntry, readCorpus } from '../input/corpus.ts';
import { insertToken } from '../input/insert-token.ts';
import type { Target } from '../input/policy-target.ts';
import { readSpec } from '../input/request-spec.ts';
import { createFlipGroups, type FlipGroup, type FlipGroups } from '../output/flips.ts';
import { plural } from '../output/plural.ts';
import { createProgress } from '../output/progress.ts';

/** One workload before and after. */
export interface TargetPair {
  readonly before: Target;
  readonly after: Target;
}

/** Which requests to evaluate, and when. */
export interface ComparisonOptions {
  /** File of requests; absent: requests are generated. */
  readonly requests?: string;
  /** Number of requests to generate for each workload; absent: 0. */
  readonly generate?: number;
  /** Seed for generated requests. */
  readonly seed: number;
  /** Number of requests to keep per group of flips. */
  readonly examples: number;
  /** Time of the requests in whole Unix seconds. */
  readonly nowSeconds: number;
}

/** What was compared and what differs. */
export interface ComparisonResult {
  readonly requests: number;
  readonly flips: number;
  readonly groups: readonly FlipGroup[];
}

const PROGRESS_STEP = 1000;
const MAX_TOKENS = 10_000;

/** Compares the decisions on each request for each pair. @throws CommandError with exit code 1 when the command is stopped */
export async function compareDecisions(
  pairs: readonly TargetPair[],
  options: ComparisonOptions,
  context: CommandContext,
): Promise<ComparisonResult> {
  const progress = createProgress(context.stderr);
  const groups = createFlipGroups(options.examples);
  const testKey = cachedSigning(createTestKey());
  const comparisonByPair = new Map(pairs.map((pair) => [pair, createWorkloadComparison(pair, options.nowSeconds, testKey)]));
  let [requests, flips] = [0, 0];
  try {
    for await (const { pair, entry, index } of workItems(pairs, options, context)) {
      if (context.signal.aborted) throw new CommandError(EXIT_FAILURE, `stopped after ${plural(requests, 'request')}`);
      requests += 1;
      if (comparisonByPair.get(pair)?.(entry, index, groups) === true) flips += 1;
      if (requests % PROGRESS_STEP !== 0) continue;
      progress.show(`${plural(requests, 'request')} evaluated, ${plural(flips, 'flip')}`);
      // Generating requests never waits for I/O, so without this pause a signal would be handled only after the last request.
      await setImmediate();
    }
  } finally {
    progress.clear();
  }
  return { requests, flips, groups: groups.groups() };
}

/** A request to evaluate for one workload. */
interface WorkItem {
  readonly pair: TargetPair;
  readonly entry: CorpusEntry;
  /** Among the requests of the file, or among those generated for the workload. */
  readonly index: number;
}

async function* workItems(
  pairs: readonly TargetPair[],
  { requests, generate = 0, seed }: ComparisonOptions,
  context: CommandContext,
): AsyncGenerator<WorkItem> {
  let index = 0;
  if (requests !== undefined) {
    for await (const entry of readCorpus(requests, context)) {
      for (const pair of pairs) yield { pair, entry, index };
      index += 1;
    }
    return;
  }
  for (const pair of pairs) {
    index = 0;
    for (const { claims, ...spec } of generateRequests([pair.before.program, pair.after.program], generate, seed)) {
      yield { pair, entry: { spec, claims }, index: index++ };
    }
  }
}

/** Evaluates an entry on both sides and adds it to `groups` if its decision differs. @returns whether it differs */
type WorkloadComparison = (entry: CorpusEntry, index: number, groups: FlipGroups) => boolean;

/** Requests with claims are evaluated with the test key for every issuer, those with literal tokens with the real keys. */
function createWorkloadComparison(pair: TargetPair, nowSeconds: number, { sign, keySetsFor }: TestKey): WorkloadComparison {
  const { workload } = pair.before;
  const { namespace, name } = parseWorkloadKey(workload);
  const withTestKey = ({ program }: Enforced): Enforced => ({ program, keySets: keySetsFor(program) });
  const compareLiteral = createComparison(pair, nowSeconds);
  const compareSigned = createComparison({ before: withTestKey(pair.before), after: withTestKey(pair.after) }, nowSeconds);
  return ({ spec, token, claims }, index, groups) => {
    const read = readSpec(insertToken(spec, claims === undefined ? token : sign(claims)), `${name}.${namespace}`);
    // The codec rejects the request on both sides alike.
    if (read.kind === 'reply') return false;
    const flip = (claims === undefined ? compareLiteral : compareSigned)(read.request);
    if (flip !== undefined) groups.add(workload, flip, { index, request: read.request, claims });
    return flip !== undefined;
  };
}

/** Caches tokens by their claims: recorded requests come from few clients, and signing costs more than evaluating. */
function cachedSigning({ sign, keySetsFor }: TestKey): TestKey {
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
