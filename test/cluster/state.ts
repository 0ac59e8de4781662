/*
 * The state directory of one test cluster: it holds every file that the cluster writes, and identifies what the cluster
 * leaves in the kernel. Owner records, teardown, and cleanup after crashed runs.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isSameProcess, killAll, livingDaemons, startTimeOf } from './process.ts';
import { containerProcesses, removeNetwork, removeTraces, restoreSysctls } from './traces.ts';

const prefix = 'sallyport-cluster-';
/** Sockets are in the state directory; a socket path has at most 107 bytes, 64 of which containerd uses for a digest. */
const maxStateLength = 38;
/** Parent of the state directories: the system's directory for temporary files, unless its path is too long. */
const root = join(tmpdir(), `${prefix}xxxxxx`).length <= maxStateLength ? tmpdir() : '/tmp';
/** Holds the path of the state directory of the machine's only node; its bridges, ranges and rules have fixed names. */
const nodeMarker = join(root, 'sallyport-node');

/** Owner of a cluster, and the parts to clean up. */
export interface Owner {
  readonly kind: 'control-plane' | 'node';
  /** Process that started it. */
  readonly pid: number;
  readonly startTime: string;
  /** The cluster outlives that process. */
  readonly keep: boolean;
}

/**
 * Creates a state directory owned by this process: a new one, or `dir`.
 * @throws Error when `dir` holds something else, or its path has more than 38 characters
 */
export function createState(kind: Owner['kind'], keep: boolean, dir?: string): string {
  const state = dir ? resolve(dir) : mkdtempSync(join(root, prefix));
  if (state.length > maxStateLength) throw new Error(`state directory ${state}: at most ${maxStateLength} characters`);
  mkdirSync(state, { recursive: true });
  // Teardown removes all of it.
  if (readdirSync(state).length > 0) throw new Error(`state directory ${state} is not empty`);
  const owner: Owner = { kind, pid: process.pid, startTime: startTimeOf(process.pid), keep };
  writeFileSync(join(state, 'owner.json'), JSON.stringify(owner));
  if (kind === 'node') writeFileSync(nodeMarker, state);
  return state;
}

/** State directory of the node on this machine, running or crashed; absent without a node. */
export function nodeState(): string | undefined {
  const state = existsSync(nodeMarker) ? readFileSync(nodeMarker, 'utf8') : '';
  return state && existsSync(join(state, 'owner.json')) ? state : undefined;
}

/** Whether a cluster is still in use: its owner runs, or it outlives its owner and its programs run. */
export function isInUse(state: string): boolean {
  const owner = readOwner(state);
  if (!owner) return false;
  return isSameProcess(owner.pid, owner.startTime) || (owner.keep && livingDaemons(state).length > 0);
}

function readOwner(state: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(join(state, 'owner.json'), 'utf8')) as Owner;
  } catch {
    return undefined; // being made or being removed
  }
}

/** Tears down what crashed runs left on this machine. */
export function sweepLeftovers(): void {
  const states = readdirSync(root)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(root, name));
  const node = nodeState();
  for (const state of new Set([...states, ...(node ? [node] : [])])) {
    if (isOurs(state) && readOwner(state) && !isInUse(state)) tearDown(state);
  }
}

/** A user may remove only their own leftovers; root may remove all. */
function isOurs(state: string): boolean {
  const self = process.getuid?.();
  return self === 0 || statSync(state, { throwIfNoEntry: false })?.uid === self;
}

/**
 * Kills a cluster and removes every trace: programs, containers, mounts, bridges, rules, control groups, files.
 * Its state is deleted, so nothing needs time to drain. Synchronous, so that it also works while this process exits. Safe to repeat.
 */
export function tearDown(state: string): void {
  const isNode = readOwner(state)?.kind === 'node';
  killAll(livingDaemons(state));
  if (isNode) {
    killAll(containerProcesses(state));
    unmountBelow(state);
    removeNetwork();
    removeTraces(state);
    restoreSysctls(state);
    if (existsSync(nodeMarker) && readFileSync(nodeMarker, 'utf8') === state) rmSync(nodeMarker);
  }
  rmSync(state, { recursive: true, force: true });
}

function unmountBelow(state: string): void {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${state}/`))
    .reverse();
  if (points.length > 0) execFileSync('umount', ['-l', ...points], { stdio: 'ignore' });
}

const live = new Set<string>();
let hooked = false;

/** Tears down `state` when this process exits or gets a signal, unless the result of `stopOnExit` is called before. */
export function stopOnExit(state: string): () => void {
  live.add(state);
  if (!hooked) hook();
  return () => live.delete(state);
}

function hook(): void {
  hooked = true;
  const tearDownAll = (): void => {
    for (const state of live) tearDown(state);
    live.clear();
  };
  process.on('exit', tearDownAll);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      tearDownAll();
      // Without our listener, the signal has its default effect.
      process.kill(process.pid, signal);
    });
  }
}
