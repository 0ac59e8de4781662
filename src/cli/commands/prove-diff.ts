/*
 * The work of `sallyport diff` without requests: proves for every workload which requests one set of policies lets in and the other
 * refuses. Loaded only for this, so that other commands do not pay for it.
 */
import { performance } from 'node:perf_hooks';
import { comparePrograms, type Direction } from '../../analysis/compare-programs.ts';
import { explainDecision } from '../../explain/diff-decisions.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import type { DirectionName } from '../input/witness-spec.ts';
import type { ProvenDifference, ProvenVerdict, ProvenWorkload } from '../output/proof.ts';
import { type ComparedPrograms, type ConfirmedWitness, createWitnessCheck } from './confirm-witness.ts';
import { collectWitnesses } from './simplest-witness.ts';

/** A workload to compare. Plain data. */
export interface ProvenPair extends ComparedPrograms {
  /** Absent: the workload has one set of labels. */
  readonly labels?: Labels;
  /** The set that has the workload; absent: both. */
  readonly onlyIn?: 'before' | 'after';
}

/** How to prove. */
export interface ProofOptions {
  /** For one workload. */
  readonly timeoutMs: number;
  /** Time of the requests in whole Unix seconds. */
  readonly nowSeconds: number;
}

const PROTOCOLS = ['http', 'tcp'] as const;
const DIRECTIONS = ['widened', 'narrowed'] as const;

/** Compares the two programs of one workload. */
export function proveWorkload(pair: ProvenPair, { timeoutMs, nowSeconds }: ProofOptions): ProvenWorkload {
  const end = performance.now() + timeoutMs;
  const isOver = (): boolean => performance.now() > end;
  const check = createWitnessCheck(pair, nowSeconds);
  const differences: ProvenDifference[] = [];
  const undecided: ProvenWorkload['undecided'][number][] = [];
  for (const protocol of PROTOCOLS) {
    const { confirm, confirmed } = collectWitnesses(check, isOver);
    const comparison = comparePrograms(pair.before, pair.after, { protocol, isOver, confirm });
    for (const direction of DIRECTIONS) {
      const result: Direction = comparison[direction];
      const found = confirmed.get(direction);
      if (result.kind === 'undecided') undecided.push({ protocol, direction, reason: result.reason });
      if (result.kind === 'found' && found !== undefined) differences.push(explained(found, direction, nowSeconds));
    }
  }
  return {
    workload: pair.workload,
    ...(pair.labels === undefined ? {} : { labels: pair.labels }),
    ...(pair.onlyIn === undefined ? {} : { onlyIn: pair.onlyIn }),
    verdict: verdictOf(differences, undecided),
    differences,
    undecided,
  };
}

/** What is found counts, whatever else is undecided: a widened workload is widened. */
function verdictOf(differences: readonly ProvenDifference[], undecided: ProvenWorkload['undecided']): ProvenVerdict {
  const found = new Set(differences.map(({ direction }) => direction));
  if (found.size === DIRECTIONS.length) return 'both';
  const [only] = found;
  if (only !== undefined) return only;
  return undecided.length === 0 ? 'same' : 'undecided';
}

function explained(found: ConfirmedWitness, direction: DirectionName, nowSeconds: number): ProvenDifference {
  const { witness, tokens, enforced, raw } = found;
  const decisions =
    witness.protocol === 'tcp'
      ? {}
      : {
          before: explainDecision(enforced.before, raw, nowSeconds),
          after: explainDecision(enforced.after, raw, nowSeconds),
        };
  return { direction, witness, tokens, ...decisions };
}
