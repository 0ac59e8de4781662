/*
 * Bounded waiting. In: a question and what the answer should become. Out: how long that took, or an error that tells what the
 * answers were meanwhile. Every wait of the suites goes through here or through a `--timeout` of kubectl's.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Wait {
  /** Absent: 20 000. */
  readonly withinMs?: number;
  /** Pause between two questions; absent: 100. */
  readonly everyMs?: number;
}

/**
 * Asks again and again until the answer fits.
 * @param what completes the sentence "waited for …"
 * @param ask answers as text; an error counts as the answer that its message is
 * @returns the answer that fitted; @throws Error with every answer and how often it came, when time is up
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
