/*
 * The door to the evaluators. In: a program. Out: an `Evaluator` whose matchers are compiled once, so that a decision
 * allocates almost nothing. Called by the judge when a bundle is taken in, and by explain.
 */
import type { Program } from '../model/program.ts';
import type { Evaluator } from './decision.ts';
import { createLinearEvaluator } from './linear.ts';

/** Compiles a program; cost is linear in its size. */
export function createEvaluator(program: Program): Evaluator {
  return createLinearEvaluator(program);
}
