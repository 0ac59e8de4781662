/*
 * The work of `sallyport diff`: evaluates a stream of requests on both sides and groups the decisions that differ. Requests are
 * evaluated one at a time, so that memory does not grow with their number.
 */
import { setImmediate } from 'node:timers/promises';
import { parseWorkloadKey } from '../../api/kube/keys.ts';
import { createComparison } from '../../explain/diff-decisions.ts';
import type { Enforced } from '../../explain/evaluate-to-end.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import { generateRequests } from '../../explain/generate/generate-requests.ts';
import type { GeneratedRequest } from '../../explain/generate/generated-request.ts';
import { createReachedRules } from '../../explain/reached-rules.ts';
import { createTestKey, type TestKey } from '../../explain/test-key.ts';
import type { CommandContext } from '../context/command-context.ts';
import { type CorpusEntry, readCorpus } from '../input/corpus.ts';
import { insertToken, placeToken } from '../input/insert-token.ts';
import type { Target } from '../input/policy-target.ts';
import { type ReadRequest, type RequestSpec, readSpec } from '../input/request-spec.ts';
import { createFlipGroups, type FlipGroup, type FlipGroups } from '../output/flips.ts';
import { plural } from '../output/plural.ts';
import { createProgress } from '../terminal/progress.ts';
import { createUnknownCount, type LoggedEntry, loggedEntry } from './compare-logged.ts';

/** One workload before and after. */
export interface TargetPair {
  readonly before: Target;
  readonly after: Target;
  /** Sets the port of the pod in a request that does not name it. */
  readonly withPodPort: (read: ReadRequest, spec: RequestSpec) => ReadRequest;
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
  /** Rules that no generated request reached, so that they were not compared; empty for requests from a file. */
  readonly notReached: readonly UnreachedRule[];
  /** Absent: every request was compared. */
  readonly unknown?: UnknownRequests;
}

function unknownOf(comparisons: readonly WorkloadComparison[]): Pick<ComparisonResult, 'unknown'> {
  const all = comparisons.map((comparison) => comparison.unknown());
  const requests = all.reduce((sum, one) => sum + one.requests, 0);
  return requests === 0 ? {} : { unknown: { requests, inputs: [...new Set(all.flatMap(({ inputs }) => inputs))] } };
}

/** Requests of an access log that are not compared. */
export interface UnknownRequests {
  readonly requests: number;
  /** What their decision may depend on and the log does not have. */
  readonly inputs: readonly string[];
}

/** A rule of one side that no request reached. */
export interface UnreachedRule {
  /** `namespace/kind/name`. */
  readonly workload: string;
  readonly side: 'before' | 'after';
  readonly rule: RuleRef;
}

const PROGRESS_STEP = 1000;
const MAX_TOKENS = 10_000;

/** Compares the decisions on each request for each pair. */
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
      requests += 1;
      if (comparisonByPair.get(pair)?.compare(entry, index, groups) === true) flips += 1;
      if (requests % PROGRESS_STEP !== 0) continue;
      progress.show(`${plural(requests, 'request')} evaluated, ${plural(flips, 'flip')}`);
      // Generating requests never waits for I/O, so without this pause the line would not be written before the last request.
      await setImmediate();
    }
  } finally {
    progress.clear();
  }
  const notReached = options.generate === undefined ? [] : [...comparisonByPair.values()].flatMap((comparison) => comparison.notReached());
  return { requests, flips, groups: groups.groups(), notReached, ...unknownOf([...comparisonByPair.values()]) };
}

/** A request to evaluate for one workload. */
interface WorkItem {
  readonly pair: TargetPair;
  readonly entry: CorpusEntry | GeneratedEntry;
  /** Among the requests of the file, or among those generated for the workload. */
  readonly index: number;
}

/** A generated request. */
interface GeneratedEntry {
  readonly generated: GeneratedRequest;
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
    for (const generated of generateRequests([pair.before.program, pair.after.program], generate, seed)) {
      yield { pair, entry: { generated }, index: index++ };
    }
  }
}

/** The comparison of one workload. */
interface WorkloadComparison {
  /** Evaluates an entry on both sides and adds it to `groups` if its decision differs. @returns whether it differs */
  readonly compare: (entry: WorkItem['entry'], index: number, groups: FlipGroups) => boolean;
  readonly notReached: () => readonly UnreachedRule[];
  readonly unknown: () => UnknownRequests;
}

/** Requests with claims are evaluated with the test key for every issuer, those with literal tokens with the real keys. */
function createWorkloadComparison(pair: TargetPair, nowSeconds: number, { sign, keySetsFor }: TestKey): WorkloadComparison {
  const { workload } = pair.before;
  const { namespace, name } = parseWorkloadKey(workload);
  const withTestKey = ({ program }: Enforced): Enforced => ({ program, keySets: keySetsFor(program) });
  const signed = { before: withTestKey(pair.before), after: withTestKey(pair.after) };
  const unknown = createUnknownCount();
  const compareLiteral = createComparison(pair, nowSeconds);
  const compareSigned = createComparison(signed, nowSeconds);
  const reached = {
    before: createReachedRules(signed.before, nowSeconds),
    after: createReachedRules(signed.after, nowSeconds),
  };
  return {
    compare(entry, index, groups) {
      const line = 'generated' in entry ? undefined : entry.line;
      if (line?.unusable !== undefined) return unknown.add([`the request: ${line.unusable}`]);
      const logged = line === undefined ? undefined : loggedEntry(line, pair);
      const { spec, claims, isSigned } = signedEntry(logged ?? entry, sign);
      const read = pair.withPodPort(readSpec(spec, `${name}.${namespace}`), spec);
      // The codec rejects the request on both sides alike.
      if (read.kind === 'reply') return false;
      const missing = logged?.missing(read.request) ?? [];
      if (missing.length > 0) return unknown.add(missing);
      if ('generated' in entry) for (const side of Object.values(reached)) side.add(read.request);
      const flip = (isSigned ? compareSigned : compareLiteral)(read.request);
      if (flip !== undefined) groups.add(workload, flip, { index, request: read.request, claims });
      return flip !== undefined;
    },
    unknown: unknown.result,
    notReached: () =>
      (['before', 'after'] as const).flatMap((side) => reached[side].notReached().map((rule) => ({ workload, side, rule }))),
  };
}

interface SignedEntry {
  readonly spec: RequestSpec;
  /** Of the token that was signed. */
  readonly claims: CorpusEntry['claims'];
  /** Whether the tokens are those of the test key. */
  readonly isSigned: boolean;
}

function signedEntry(entry: WorkItem['entry'] | LoggedEntry, sign: TestKey['sign']): SignedEntry {
  if ('generated' in entry) {
    const { tokens = [], ...spec } = entry.generated;
    const placed = tokens.reduce<RequestSpec>((one, { claims, place }) => placeToken(one, sign(claims), place), spec);
    return { spec: placed, claims: tokens.at(-1)?.claims, isSigned: true };
  }
  if ('place' in entry) {
    const { spec, claims, place } = entry;
    return claims === undefined || place === undefined
      ? { spec, claims, isSigned: false }
      : { spec: placeToken(spec, sign(claims), place), claims, isSigned: true };
  }
  const { spec, token, claims } = entry;
  return { spec: insertToken(spec, claims === undefined ? token : sign(claims)), claims, isSigned: claims !== undefined };
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
