/*
 * Times and counts what runs in this process. In: a function that does some decisions. Out: nanoseconds, bytes. The engine's bench
 * uses it; times are of the CPU, not of the wall, so that other work on the machine disturbs less.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Does `per` decisions. */
export interface Batch {
  readonly per: number;
  readonly run: () => void;
}

export interface ClockOptions {
  /** How long one sample takes at least, in milliseconds. */
  readonly sampleMs: number;
  readonly samples: number;
}

function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >>> 1] ?? Number.NaN;
}

/** Nanoseconds of one decision: the median of the samples, after a sample of warming up. */
export function timeDecision({ per, run }: Batch, { sampleMs, samples }: ClockOptions): number {
  const taken: number[] = [];
  for (let sample = 0; sample <= samples; sample++) {
    let runs = 0;
    const began = cpuNs();
    let spent = 0;
    while (spent < sampleMs * 1e6) {
      run();
      runs++;
      spent = cpuNs() - began;
    }
    if (sample > 0) taken.push(spent / (runs * per));
  }
  return median(taken);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that one decision leaves to the garbage collector, which does not run meanwhile: the median of some batches. */
export function garbageOf({ per, run }: Batch): number {
  const taken: number[] = [];
  for (let i = 0; i < 9; i++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    run();
    taken.push((process.memoryUsage().heapUsed - before) / per);
  }
  return Math.max(0, median(taken) - asking() / per);
}

/** Bytes that asking for the memory leaves behind. */
function asking(): number {
  const before = process.memoryUsage().heapUsed;
  return process.memoryUsage().heapUsed - before;
}

/** What `make` returns, with the milliseconds it took and the MiB it holds. */
export function build<T>(make: () => T): { readonly made: T; readonly ms: number; readonly mib: number } {
  collectGarbage();
  const memory = held();
  const began = cpuNs();
  const made = make();
  const ms = (cpuNs() - began) / 1e6;
  collectGarbage();
  return { made, ms, mib: (held() - memory) / 2 ** 20 };
}

function held(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
