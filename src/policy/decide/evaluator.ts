/*
 * Creates the evaluator of a program. Its indexes are built once, so that the cost of a decision is nearly independent of the number of
 * rules and a decision allocates almost nothing.
 */
import type { Steps } from '../../steps.ts';
import type { Program } from '../model/program.ts';
import type { Evaluator } from './decision.ts';
import { createIndexedEvaluator, createIndexedEvaluatorInSteps } from './indexed.ts';

/**
 * An evaluator of `program`. Building it costs time linear in the size of the program, except for a sort. What is derived from a verified
 * token is cached in its notes (`RequestFacts.notes`).
 */
export function createEvaluator(program: Program): Evaluator {
  return createIndexedEvaluator(program);
}

/** The same in steps of a few milliseconds each, for a process that must not pause for longer. */
export function createEvaluatorInSteps(program: Program): Steps<Evaluator> {
  return createIndexedEvaluatorInSteps(program);
}
