/*
 * Measures the milliseconds until a change is enforced, that is, until the first request gets the expected status. Requests
 * come from the client pod over one open `kubectl exec`, so that a request does not include the start of a kubectl.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shell } from './shell.ts';

/** Sends one request per line that it reads; ends with its input. */
const asker =
  'while read -r token; do curl -s -o /dev/null -m 2 -H "Authorization: Bearer $token" -w "%{http_code}\\n" http://httpbin.foo:8000/headers; done';
const limitMs = 60_000;
const pauseMs = 10;

/** Time of one change. */
export interface Lap {
  /** From the start of the command that made the change. */
  readonly fromStartMs: number;
  /** From its end; 0 when the change was enforced before. */
  readonly fromEndMs: number;
  /** From the first to the last response 503 before that; 0: none. */
  readonly unavailableMs: number;
}

export interface Stopwatch {
  /** Makes the change while it sends requests. @throws Error when `code` does not come within a minute */
  readonly time: (change: () => Promise<unknown>, token: string, code: string) => Promise<Lap>;
  readonly stop: () => void;
}

/** Opens the connection to the client pod. */
export async function startStopwatch(shell: Shell): Promise<Stopwatch> {
  const pod = await shell.run('kubectl get pod -l app=sleep -n foo -o jsonpath={.items..metadata.name}');
  const child = spawn('kubectl', ['exec', '-i', pod, '-c', 'sleep', '-n', 'foo', '--', 'sh', '-c', asker], {
    env: shell.env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (token: string): Promise<string> => {
    child.stdin.write(`${token}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error('the line to the client pod has ended');
    return line.value;
  };
  const untilCode = async (token: string, code: string): Promise<{ readonly enforced: number; readonly unavailableMs: number }> => {
    const deadline = performance.now() + limitMs;
    let firstUnavailable: number | undefined;
    let lastUnavailable = 0;
    for (;;) {
      const got = await ask(token);
      if (got === '503') {
        lastUnavailable = performance.now();
        firstUnavailable ??= lastUnavailable;
      }
      if (got === code) {
        return { enforced: performance.now(), unavailableMs: firstUnavailable === undefined ? 0 : lastUnavailable - firstUnavailable };
      }
      if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1000} s for ${code}; the last answer was ${got}`);
      await sleep(pauseMs);
    }
  };
  return {
    time: async (change, token, code) => {
      const start = performance.now();
      const changing = change().then(() => performance.now());
      const [end, { enforced, unavailableMs }] = await Promise.all([changing, untilCode(token, code)]);
      return { fromStartMs: enforced - start, fromEndMs: Math.max(0, enforced - end), unavailableMs };
    },
    stop: () => {
      child.stdin.end();
      child.kill();
    },
  };
}

/** Median and maximum. @param values at least one */
export function summary(values: readonly number[]): { readonly median: number; readonly max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}
