/*
 * Processes under measurement: started on one core, watched through /proc, ended by id. Linux only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Clock ticks a second of /proc/PID/stat: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Pinned {
  readonly pid: number;
  /** Milliseconds from start until the first 200 on the address it was waited for; 0: it was not waited for. */
  readonly startMs: number;
  /** User and system time so far, in microseconds. */
  cpuMicros(): number;
  /** Time on a core so far of the threads that are alive, in nanoseconds; finer than `cpuMicros`. */
  cpuNanos(): number;
  /** Resident memory now, in MiB. */
  rssMiB(): number;
  stop(): Promise<void>;
}

export interface PinOptions {
  readonly core: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Wait until this URL answers 200 with these headers. */
  readonly until?: { readonly url: string; readonly headers: Readonly<Record<string, string>> };
}

/** Starts `command` on one core. @throws Error when it ends, or does not respond within 20 s */
export async function startPinned(command: readonly string[], options: PinOptions): Promise<Pinned> {
  const started = performance.now();
  const child = spawn('taskset', ['-c', String(options.core), ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command[0]} did not start`);
  if (options.until !== undefined) await waitFor(options.until, child, () => complaint);
  return {
    pid,
    startMs: options.until === undefined ? 0 : performance.now() - started,
    cpuMicros: () => cpuMicros(pid),
    cpuNanos: () => cpuNanos(pid),
    rssMiB: () => rssMiB(pid),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const ended = once(child, 'exit');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function waitFor(until: NonNullable<PinOptions['until']>, child: ChildProcess, complaint: () => string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${complaint()}`);
    if ((await statusOf(until.url, until.headers)) === 200) return;
    await sleep(2);
  }
  throw new Error(`no 200 from ${until.url}: ${complaint()}`);
}

/** Status of one GET; 0: no response. */
export function statusOf(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve) => {
    const asked = request(url, { headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on('error', () => resolve(0));
    asked.end();
  });
}

/** User and system time of a process so far, in microseconds. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

function cpuNanos(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
    } catch {
      // The thread has ended since.
    }
  }
  return sum;
}

/** Resident memory of a process now, in MiB. */
export function rssMiB(pid: number): number {
  return statusMiB(pid, 'VmRSS');
}

/** Highest resident memory of a process so far, in MiB. */
export function peakRssMiB(pid: number): number {
  return statusMiB(pid, 'VmHWM');
}

/** Resident memory without mapped files, in MiB: processes of one image share the program text. */
export function anonymousMiB(pid: number): number {
  return statusMiB(pid, 'RssAnon');
}

/** A line of /proc/PID/status that is an amount of memory, in MiB. */
function statusMiB(pid: number, name: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  const line = new RegExp(`^${name}:\\s+([0-9]+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}

/** Microseconds that a core has been busy since boot, with any process. */
export function coreBusyMicros(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (line?.[1] ?? '').split(' ').map(Number);
  return ((user + nice + system + irq + softirq) / TICKS_PER_SECOND) * 1e6;
}
