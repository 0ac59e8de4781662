/*
 * The work of `sallyport prove`: proves for a workload that an invariant holds, or finds a request that shows the opposite. Loaded only for
 * this, so that other commands do not pay for it.
 */
import { performance } from 'node:perf_hooks';
import type { RulesByProtocol } from '../../analysis/allow-only.ts';
import { findAdmitted } from '../../analysis/compare-programs.ts';
import { alwaysAllowed, neverAllowed, type ProgramPair } from '../../analysis/invariant-programs.ts';
import { explainRequest } from '../../explain/explain-request.ts';
import type { Program } from '../../policy/model/program.ts';
import type { CheckedInvariant, Counterexample } from '../output/invariants.ts';
import { createWitnessCheck } from './confirm-witness.ts';
import type { ProofOptions } from './prove-diff.ts';
import { collectWitnesses } from './simplest-witness.ts';

/** An invariant to prove for one workload. Plain data. */
export interface InvariantTask extends Omit<CheckedInvariant, 'answer' | 'counterexample' | 'reason'> {
  readonly program: Program;
  readonly rules: RulesByProtocol;
}

const PROTOCOLS = ['http', 'tcp'] as const;

/** Proves one invariant for one workload. */
export function proveInvariant(task: InvariantTask, { timeoutMs, nowSeconds }: ProofOptions): CheckedInvariant {
  const end = performance.now() + timeoutMs;
  const pair = task.kind === 'alwaysAllow' ? alwaysAllowed(task.program, task.rules) : neverAllowed(task.program, task.rules);
  const { program: _program, rules: _rules, ...named } = task;
  const reasons: string[] = [];
  for (const protocol of PROTOCOLS) {
    const found = find(pair, task, { protocol, nowSeconds, isOver: () => performance.now() > end });
    if (found.counterexample !== undefined) return { ...named, answer: 'violated', counterexample: found.counterexample };
    if (found.reason !== undefined) reasons.push(`${protocol.toUpperCase()}: ${found.reason}`);
  }
  return reasons.length === 0 ? { ...named, answer: 'proven' } : { ...named, answer: 'undecided', reason: reasons.join('; ') };
}

interface SearchOptions extends Pick<ProofOptions, 'nowSeconds'> {
  readonly protocol: 'http' | 'tcp';
  readonly isOver: () => boolean;
}

function find(
  [refusing, admitting]: ProgramPair,
  task: InvariantTask,
  { protocol, nowSeconds, isOver }: SearchOptions,
): { readonly counterexample?: Counterexample; readonly reason?: string } {
  const check = createWitnessCheck({ before: refusing, after: admitting, workload: task.workload }, nowSeconds);
  const { confirm, confirmed } = collectWitnesses(check, isOver);
  const result = findAdmitted(refusing, admitting, { protocol, isOver, confirm });
  if (result.kind === 'undecided') return { reason: result.reason };
  const found = confirmed.get('widened');
  if (result.kind === 'none' || found === undefined) return {};
  const { witness, tokens, enforced, raw } = found;
  const own = task.kind === 'alwaysAllow' ? enforced.before : enforced.after;
  const explanation = protocol === 'tcp' ? {} : { explanation: explainRequest(own, raw, nowSeconds) };
  return { counterexample: { witness, tokens, ...explanation } };
}
