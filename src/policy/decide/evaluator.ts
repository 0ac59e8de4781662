/*
 * Creates the evaluator of a program. Its indexes are built once, so that the cost of a decision is nearly independent of the number of
 * rules and a decision allocates almost nothing.
 */
import type { Program } from '../model/program.ts';
import type { Evaluator } from './decision.ts';
import { createIndexedEvaluator } from './indexed.ts';

/**
 * An evaluator of `program`. Building it costs time linear in the size of the program, except for a sort. What is derived from a verified
 * token is cached in its notes (`RequestFacts.notes`).
 */
export function createEvaluator(program: Program): Evaluator {
  return createIndexedEvaluator(program);
}
