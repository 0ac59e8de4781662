/*
 * Measures code in this process: CPU time, which other processes disturb less than wall time, garbage and memory. Subjects that are
 * compared are measured in turns, so that a disturbance affects all alike.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A function that makes `per` decisions. */
export interface Batch {
  readonly per: number;
  readonly run: () => void;
}

/** Something to be measured. */
export interface Subject {
  readonly name: string;
  /** Nanoseconds of CPU per decision, measured for about this many milliseconds. */
  sample(milliseconds: number): number;
}

/** Number of turns, and the duration of each sample. */
export interface Turns {
  readonly repetitions: number;
  readonly sampleMs: number;
}

function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** The median; the upper one if there are two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >>> 1] ?? Number.NaN;
}

/** A subject that repeats the same decisions. */
export function steady(name: string, { per, run }: Batch): Subject {
  return {
    name,
    sample: (milliseconds) => {
      const began = cpuNs();
      let runs = 0;
      let spent = 0;
      while (spent < milliseconds * 1e6) {
        run();
        runs++;
        spent = cpuNs() - began;
      }
      return spent / (runs * per);
    },
  };
}

/** A subject that never repeats a decision: `prepare` creates each batch and is not measured. */
export function everNew(name: string, prepare: () => Batch): Subject {
  return {
    name,
    sample: (milliseconds) => {
      let runs = 0;
      let spent = 0;
      let all = 0;
      // Most of the time is spent in `prepare`.
      while (runs === 0 || (spent < milliseconds * 1e6 && all < milliseconds * 4e6)) {
        const entered = cpuNs();
        const { per, run } = prepare();
        const began = cpuNs();
        run();
        const ended = cpuNs();
        spent += ended - began;
        all += ended - entered;
        runs += per;
      }
      return spent / runs;
    },
  };
}

/** Medians of all subjects, in their order, measured in turns A B C … C B A after a warm-up turn. */
export function inTurns(subjects: readonly Subject[], { repetitions, sampleMs }: Turns): readonly number[] {
  const taken = subjects.map((): number[] => []);
  for (let turn = 0; turn <= repetitions; turn++) {
    const order = turn % 2 === 0 ? [...subjects.keys()] : [...subjects.keys()].reverse();
    for (const index of order) {
      const ns = (subjects[index] as Subject).sample(sampleMs);
      if (turn > 0) taken[index]?.push(ns);
    }
  }
  return taken.map(median);
}

const STEPS = 1_000_000;
/** Result of the arithmetic below; unused results would be optimized away. */
let sum = 1;

/** Nanoseconds of one arithmetic step without memory access: shows whether a shared core runs at reduced speed. */
export function stepOfMachine(): number {
  const arithmetic: Batch = {
    per: STEPS,
    run: () => {
      for (let i = 0; i < STEPS; i++) sum = (Math.imul(sum, 1_103_515_245) + 12_345) | 0;
    },
  };
  const [ns = Number.NaN] = inTurns([steady('arithmetic', arithmetic)], { repetitions: 5, sampleMs: 10 });
  return sum === 0 ? Number.NaN : ns;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of garbage per decision: the median of several batches, during which the garbage collector does not run. */
export function garbageOf(prepare: () => Batch): number {
  const taken: number[] = [];
  for (let i = 0; i < 9; i++) {
    const { per, run } = prepare();
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    run();
    taken.push((process.memoryUsage().heapUsed - before - asking()) / per);
  }
  return Math.max(0, median(taken));
}

/** Bytes of garbage that reading the memory usage creates. */
function asking(): number {
  const before = process.memoryUsage().heapUsed;
  return process.memoryUsage().heapUsed - before;
}

/** A built value with its cost. */
export interface Built<T> {
  readonly made: T;
  /** CPU time in milliseconds. */
  readonly ms: number;
  /** Memory in the heap and in array buffers, and of the whole process. */
  readonly heapMiB: number;
  readonly rssMiB: number;
}

/** The result of `make`, with its CPU time and memory. */
export function build<T>(make: () => T): Built<T> {
  collectGarbage();
  const before = process.memoryUsage();
  const began = cpuNs();
  const made = make();
  const ms = (cpuNs() - began) / 1e6;
  collectGarbage();
  const after = process.memoryUsage();
  const heap = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  return { made, ms, heapMiB: heap / 2 ** 20, rssMiB: (after.rss - before.rss) / 2 ** 20 };
}
