/*
 * Starts, observes and kills the long-running programs of a test cluster. Each has a log and a pid file
 * `<state>/pids/<name>` with `pid starttime`, so that a later run can clean up.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program to keep running. */
export interface Daemon {
  /** Name of its log (`<state>/logs/<name>.log`) and pid file. */
  readonly name: string;
  /** Absolute path of the program. */
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A started program. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Has it ended? */
  readonly exited: () => boolean;
}

/**
 * Start time of a process in clock ticks since boot, as a string; distinguishes it from a later process with the same pid. `''` when the
 * process does not exist.
 * @see proc(5), field 22 of /proc/pid/stat
 */
export function startTimeOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return ''; // no such process
  }
}

/** Does process `pid` still live, and is it the one that started at `startTime`? */
export function isSameProcess(pid: number, startTime: string): boolean {
  return startTime !== '' && startTimeOf(pid) === startTime;
}

const setpriv = '/usr/bin/setpriv';

/**
 * Starts a program in the background.
 * @param state the cluster's state directory
 * @param outlive keep it when this process ends; otherwise the kernel kills it then, even after SIGKILL
 */
export function startDaemon(daemon: Daemon, state: string, outlive: boolean): Running {
  mkdirSync(join(state, 'logs'), { recursive: true });
  mkdirSync(join(state, 'pids'), { recursive: true });
  const logPath = join(state, 'logs', `${daemon.name}.log`);
  const log = openSync(logPath, 'a');
  const bound = !outlive && existsSync(setpriv);
  const [file, args] = bound ? [setpriv, ['--pdeathsig', 'KILL', daemon.file, ...daemon.args]] : [daemon.file, [...daemon.args]];
  // A separate session: Ctrl-C goes to the test run, which then stops the cluster in order.
  const child = spawn(file, args, { cwd: state, detached: true, stdio: ['ignore', log, log], env: { ...process.env, ...daemon.env } });
  closeSync(log);
  let ended = false;
  child.on('error', () => (ended = true));
  child.on('exit', () => (ended = true));
  child.unref();
  const pid = child.pid ?? 0;
  if (pid) writeFileSync(join(state, 'pids', daemon.name), `${pid} ${startTimeOf(pid)}`);
  return { name: daemon.name, pid, logPath, exited: () => ended };
}

/** Running processes of a state directory's pid files. */
export function livingDaemons(state: string): readonly number[] {
  const folder = join(state, 'pids');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const [pid = '', startTime = ''] = readFileSync(join(folder, name), 'utf8').split(' ');
    return isSameProcess(Number(pid), startTime) ? [Number(pid)] : [];
  });
}

const killWaitMs = 10_000;
const pollMs = 10;

/** Kills processes with SIGKILL and waits until they are gone. Synchronous, so that it can run while this process exits. */
export function killAll(pids: readonly number[]): void {
  const startTimes = new Map(pids.map((pid) => [pid, startTimeOf(pid)]));
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has already exited.
    }
  }
  const deadline = Date.now() + killWaitMs;
  while ([...startTimes].some(([pid, startTime]) => isSameProcess(pid, startTime)) && Date.now() < deadline) pauseSync(pollMs);
}

function pauseSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Last lines of a log, for an error message; `''` when the log does not exist. */
export function tailOf(logPath: string, lines = 15): string {
  if (!existsSync(logPath)) return '';
  return readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
