/*
 * How bundles are opened while requests are served.
 */
import { LIMITS } from '../../limits/agent-limits.ts';
import { nextTurn } from '../../limits/timers.ts';
import type { Turns } from '../../steps.ts';

/** A little work in each turn of the event loop. */
export const TURNS: Turns = { pause: nextTurn, turnMs: LIMITS.bundleTurn.value };
