/*
 * All differences from Envoy. A case that differs without being listed fails the test, and so does one that is listed and does not differ.
 */
import { ANSWER_DIFFERENCES } from './answer-differences.ts';
import type { Difference } from './difference.ts';
import { REQUEST_DIFFERENCES } from './request-differences.ts';

/** All of them, of both kinds. */
export const DIFFERENCES: readonly Difference[] = [...REQUEST_DIFFERENCES, ...ANSWER_DIFFERENCES];
