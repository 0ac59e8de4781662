/*
 * Waits with a time limit until a function returns an expected value; the error lists the values that it returned. Every wait
 * of the suites uses this or kubectl's `--timeout`.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Wait {
  /** Absent: 20 000. */
  readonly withinMs?: number;
  /** Pause between two calls; absent: 100. */
  readonly everyMs?: number;
}

/**
 * Calls `ask` until its value is the expected one.
 * @param what completes the sentence "waited for …"
 * @param ask returns a string; an error counts as its message
 * @returns the matching value; @throws Error with every value and how often it was returned, when the time is up
 */
export async function eventually(
  what: string,
  ask: () => Promise<string>,
  fits: (answer: string) => boolean,
  wait: Wait = {},
): Promise<string> {
  const { withinMs = 20_000, everyMs = 100 } = wait;
  const deadline = performance.now() + withinMs;
  const counts = new Map<string, number>();
  for (;;) {
    const answer = await ask().catch((error: unknown) => `error: ${error instanceof Error ? error.message : String(error)}`);
    if (fits(answer)) return answer;
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
    if (performance.now() > deadline) {
      const seen = [...counts].slice(-5).map(([text, count]) => `  ${count} times: ${text === '' ? '(nothing)' : text}`);
      throw new Error(`waited ${withinMs / 1000} s in vain for ${what}; the answers were\n${seen.join('\n')}`);
    }
    await sleep(everyMs);
  }
}
