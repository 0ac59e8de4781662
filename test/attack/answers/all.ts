/*
 * All answer cases.
 */
import type { AnswerCase } from '../case.ts';
import { ANSWER_BODIES } from './bodies.ts';
import { ANSWER_HEADS } from './heads.ts';

/** All answer cases; names are unique. */
export const ANSWER_CASES: readonly AnswerCase[] = [...ANSWER_HEADS, ...ANSWER_BODIES];
