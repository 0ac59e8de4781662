/*
 * The fuzzing loop: mutates known inputs and keeps those that reach new code. Violations are minimized.
 */
import { type Coverage, type Fresh } from './coverage.ts';
import { mutateJson, mutateText } from './mutate.ts';
import { createRandom, type Random } from './random.ts';
import type { FuzzTarget } from './target.ts';

export interface Violation {
  readonly input: string;
  readonly message: string;
}

export interface FuzzResult {
  readonly executions: number;
  /** Inputs that each reached new code. */
  readonly corpus: number;
  /** Number of covered characters of the sources. */
  readonly covered: number;
  readonly slowestMs: number;
  readonly violations: readonly Violation[];
}

export interface FuzzLimits {
  readonly seed: number;
  /** Ends after this many inputs … */
  readonly executions: number;
  /** … or at this time by `performance.now()`. */
  readonly untilMs: number;
}

/** Number of inputs between two reads of the coverage, which costs more than most inputs. */
const BATCH = 64;
const MAX_VIOLATIONS = 5;
/** Maximum time of one input, even on a slow machine. */
const HANG_MS = 5000;

/** Fuzzes one target. */
export function fuzz(target: FuzzTarget, coverage: Coverage, limits: FuzzLimits): FuzzResult {
  const random = createRandom(limits.seed);
  const corpus: string[] = [];
  const violations: Violation[] = [];
  let executions = 0;
  let slowestMs = 0;
  const run = (input: string): void => {
    executions += 1;
    const started = performance.now();
    const message = violationOf(target, input);
    const took = performance.now() - started;
    slowestMs = Math.max(slowestMs, took);
    const broken = message ?? (took > HANG_MS ? `took ${Math.round(took)} ms` : undefined);
    if (broken !== undefined && violations.every((known) => known.message !== broken))
      violations.push({ input: smaller(target, input, broken), message: broken });
  };
  const known = [...target.seeds, ...target.regressions];
  coverage.take();
  for (const input of known) run(input);
  corpus.push(...known);
  coverage.take();
  while (executions < limits.executions && performance.now() < limits.untilMs && violations.length < MAX_VIOLATIONS) {
    const batch = Array.from({ length: BATCH }, () => mutate(target, corpus, random));
    for (const input of batch) run(input);
    keepTelling(target, corpus, batch, coverage);
  }
  return { executions, corpus: corpus.length, covered: coverage.size, slowestMs, violations };
}

/** The property that `input` violates; undefined: every property holds. */
export function violationOf(target: FuzzTarget, input: string): string | undefined {
  try {
    target.run(input);
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 500) : String(error);
  }
}

function mutate(target: FuzzTarget, corpus: readonly string[], random: Random): string {
  // Recent inputs are more valuable: half of the picks are from the last quarter.
  const from = random.next() < 0.5 ? Math.floor((corpus.length * 3) / 4) : 0;
  const base = corpus[from + random.below(corpus.length - from)] as string;
  const bytes = (text: string): string => mutateText(text, random, target.dictionary, random.pick(corpus));
  if (random.next() < 0.6) {
    const formed = target.json === true ? mutateJson(base, random, target.dictionary) : target.mutate?.(base, random, bytes);
    if (formed !== undefined) return formed;
  }
  return bytes(base);
}

/** Adds the inputs of `batch` that reached new code to the corpus. */
function keepTelling(target: FuzzTarget, corpus: string[], batch: readonly string[], coverage: Coverage): void {
  const fresh: Fresh = coverage.take();
  const wanted = new Map(Array.from(fresh, ([url, at]) => [url, new Set(at)]));
  for (const input of batch) {
    if (wanted.size === 0) return;
    violationOf(target, input);
    if (coverage.takeAnyOf(wanted)) corpus.push(input);
  }
}

/** A shorter input with the same violation, found by removing pieces. */
function smaller(target: FuzzTarget, input: string, message: string): string {
  let best = input;
  for (let size = Math.ceil(best.length / 2); size >= 1 && best.length < 100_000; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at + size <= best.length; ) {
      const shorter = best.slice(0, at) + best.slice(at + size);
      if (violationOf(target, shorter) === message) best = shorter;
      else at += size;
    }
  }
  return best;
}
