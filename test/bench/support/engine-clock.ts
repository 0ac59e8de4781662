/*
 * Times and counts what runs in this process. In: what is to be measured. Out: nanoseconds, bytes. The engine's bench uses it;
 * times are of the CPU, not of the wall, so that other work on the machine disturbs less, and what is to be compared is
 * measured in turns, so that it disturbs all alike.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Does `per` decisions. */
export interface Batch {
  readonly per: number;
  readonly run: () => void;
}

/** One line of a table. */
export interface Subject {
  readonly name: string;
  /** Nanoseconds of one decision, measured for about so many milliseconds. */
  sample(milliseconds: number): number;
}

/** How often, and how long each time. */
export interface Turns {
  readonly repetitions: number;
  readonly sampleMs: number;
}

function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >>> 1] ?? Number.NaN;
}

/** The same decisions again and again. */
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

/** Decisions that are never repeated: `prepare` makes what they need, and is not timed. */
export function everNew(name: string, prepare: () => Batch): Subject {
  return {
    name,
    sample: (milliseconds) => {
      let runs = 0;
      let spent = 0;
      let all = 0;
      // Most of the time goes to what is not timed.
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

/** Medians of all subjects, in their order, measured in turns: A B C … C B A, after one turn of warming up. */
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
/** What the arithmetic below came to: what is never read is optimised away. */
let sum = 1;

/** Nanoseconds of one step of arithmetic that needs no memory: a shared core may run at half its speed for minutes. */
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

/** Bytes that one decision leaves to the garbage collector, which does not run meanwhile: the median of some batches. */
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

/** Bytes that asking for the memory leaves behind. */
function asking(): number {
  const before = process.memoryUsage().heapUsed;
  return process.memoryUsage().heapUsed - before;
}

export interface Built<T> {
  readonly made: T;
  /** Milliseconds of CPU. */
  readonly ms: number;
  /** On and beside the heap, and of the whole process. */
  readonly heapMiB: number;
  readonly rssMiB: number;
}

/** What `make` returns, with what it took and holds. */
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
