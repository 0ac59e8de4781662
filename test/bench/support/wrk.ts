/*
 * Load by wrk (Debian package `wrk`): one thread on one core.
 */
import { spawn, spawnSync } from 'node:child_process';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly core: number;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LoadResult {
  readonly requests: number;
  /** A second. */
  readonly rate: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Responses other than 2xx and 3xx, and socket errors. */
  readonly failures: number;
}

export function hasWrk(): boolean {
  return spawnSync('wrk', ['--version']).error === undefined;
}

/** @throws Error when wrk fails */
export async function runWrk(load: Load): Promise<LoadResult> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  // Thousands of rules take Envoy seconds for all connections.
  const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '10s', '--latency', ...headers, load.url];
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn('taskset', ['-c', String(load.core), 'wrk', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`wrk ended with ${code}`))));
  });
  return {
    requests: number(output, /([0-9]+) requests in/),
    rate: number(output, /Requests\/sec:\s+([0-9.]+)/),
    p50: micros(output, /50%\s+([0-9.]+)(us|ms|s)/),
    p99: micros(output, /99%\s+([0-9.]+)(us|ms|s)/),
    failures: number(output, /Non-2xx or 3xx responses: ([0-9]+)/) + socketErrors(output),
  };
}

function number(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function micros(text: string, pattern: RegExp): number {
  const [, value = '0', unit = 'us'] = pattern.exec(text) ?? [];
  return Number(value) * (unit === 's' ? 1e6 : unit === 'ms' ? 1e3 : 1);
}

function socketErrors(text: string): number {
  const counts = /Socket errors: connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)/.exec(text);
  return counts === null ? 0 : counts.slice(1).reduce((sum, count) => sum + Number(count), 0);
}
