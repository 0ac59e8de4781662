/*
 * Proves for every workload of two sets of policies what the second lets in and the first refuses, and the reverse.
 */
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { writeFindingLines } from '../output/findings.ts';
import type { ProvenWorkload } from '../output/proof.ts';
import { provenPods, type SetPair } from './compared-pods.ts';
import { runProofs } from './run-proofs.ts';

/** How to prove. */
export interface ProveSetsOptions {
  /** Absent: every workload. */
  readonly workload?: string;
  /** Seconds for one workload. */
  readonly timeout: number;
  readonly nowSeconds: number;
}

/** Results as they become known. */
export interface Proofs {
  /** Number of results, unless the command is stopped before. */
  readonly count: number;
  readonly results: AsyncIterable<ProvenWorkload>;
}

/** Starts the proofs. Findings of compiling are written first. @throws CommandError when admission refuses a policy */
export function proveSets(sets: SetPair, { workload: wanted, timeout, nowSeconds }: ProveSetsOptions, context: CommandContext): Proofs {
  const [before, after] = sets;
  const refused = [...before.findings, ...after.findings].find(({ severity }) => severity === 'error');
  if (refused !== undefined) {
    throw new CommandError(EXIT_BAD_DATA, `${refused.file}:${refused.line}: admission refuses this policy, so nothing is proven`);
  }
  const tasks = provenPods(sets, wanted, context).map(({ workload, labels, onlyIn }) => {
    const target = before.target(workload, labels);
    return {
      workload: target.workload,
      before: target.program,
      after: after.target(workload, labels).program,
      ...(labels === undefined ? {} : { labels }),
      ...(onlyIn === undefined ? {} : { onlyIn }),
    };
  });
  writeFindingLines([...before.compiledFindings(), ...after.compiledFindings()], context.stderr);
  const job = { kind: 'compare', tasks, options: { timeoutMs: timeout * 1000, nowSeconds } } as const;
  return { count: tasks.length, results: runProofs(job, context) };
}
