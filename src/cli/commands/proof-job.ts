/*
 * Proofs as plain data, so that a worker can do them.
 */
import { performance } from 'node:perf_hooks';
import { findIdleRules, type IdleRule } from '../../analysis/idle-rules.ts';
import type { Program } from '../../policy/model/program.ts';
import type { CheckedInvariant } from '../output/invariants.ts';
import type { ProvenWorkload } from '../output/proof.ts';
import { type ProofOptions, type ProvenPair, proveWorkload } from './prove-diff.ts';
import { type InvariantTask, proveInvariant } from './prove-invariants.ts';

/** What to prove. */
export type ProofJob =
  | { readonly kind: 'compare'; readonly tasks: readonly ProvenPair[]; readonly options: ProofOptions }
  | { readonly kind: 'idle-rules'; readonly tasks: readonly Program[]; readonly options: ProofOptions }
  | { readonly kind: 'invariants'; readonly tasks: readonly InvariantTask[]; readonly options: ProofOptions };

interface Results {
  readonly compare: ProvenWorkload;
  readonly 'idle-rules': IdleRule;
  readonly invariants: CheckedInvariant;
}

/** A result: one for each task, but of `idle-rules`, which is about all programs together. */
export type ProofResult<J extends ProofJob> = Results[J['kind']];

/** The results in the order of the tasks, each when it is asked for. */
export function* performJob({ kind, tasks, options }: ProofJob): Generator<Results[keyof Results]> {
  switch (kind) {
    case 'compare':
      for (const task of tasks) yield proveWorkload(task, options);
      return;
    case 'invariants':
      for (const task of tasks) yield proveInvariant(task, options);
      return;
    case 'idle-rules':
      yield* findIdleRules(tasks, () => {
        const end = performance.now() + options.timeoutMs;
        return { isOver: () => performance.now() > end };
      });
  }
}
