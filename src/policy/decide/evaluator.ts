/*
 * The door to the evaluators. In: a program. Out: an `Evaluator` whose indexes are built once, so that a decision costs about
 * the same whatever the number of rules and allocates almost nothing. Called by the judge when a bundle is taken in, and by
 * explain.
 */
import type { Program } from '../model/program.ts';
import type { Evaluator } from './decision.ts';
import { createIndexedEvaluator } from './indexed.ts';

/**
 * Prepares a program; cost is linear in its size but for a sort. What is found out about a verified token is kept in its notes
 * (`RequestFacts.notes`).
 */
export function createEvaluator(program: Program): Evaluator {
  return createIndexedEvaluator(program);
}
