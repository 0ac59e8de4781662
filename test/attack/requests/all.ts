/*
 * All request cases.
 */
import type { RequestCase } from '../case.ts';
import { CONNECTIONS } from './connections.ts';
import { FIELDS } from './fields.ts';
import { FRAMING } from './framing.ts';
import { HOSTS } from './hosts.ts';
import { REQUEST_LINES } from './request-line.ts';
import { SPLITS } from './splits.ts';
import { TARGETS } from './targets.ts';
import { TRUST } from './trust.ts';

/** All request cases; names are unique. */
export const REQUEST_CASES: readonly RequestCase[] = [
  ...REQUEST_LINES,
  ...TARGETS,
  ...HOSTS,
  ...FIELDS,
  ...FRAMING,
  ...CONNECTIONS,
  ...TRUST,
  ...SPLITS,
];
