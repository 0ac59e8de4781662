/*
 * Compares the decision engines of two source trees: `node test/bench/engine-pairs.ts --before DIR [--after DIR] [--pairs 20] [--ms 30] [--shape NAME…]`.
 * Each pair is a new process that loads both trees and samples them alternately, so that load on the machine affects both alike; the
 * order of the trees changes from pair to pair. Prints the ratio of CPU time per decision, after to before, with its 95 % interval.
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as Evaluators from '../../src/policy/decide/evaluator.ts';
import { agentFlags } from '../support/agent-flags.ts';
import type * as Adversaries from './support/engine-adversaries.ts';
import { type Batch, everNew, median, type Subject, steady } from './support/engine-clock.ts';
import type * as Shapes from './support/engine-shapes.ts';
import { duration, printTable, progress, progressEnds } from './support/table.ts';

const RULES = 10_000;
/** Requests that are decided in turn in one measurement. */
const POOL = 256;
/** Samples of each tree and shape in one process; the fastest counts, because load on the machine only ever adds time. */
const SAMPLES = 16;
/** Shapes of `engine-adversaries.ts` that take longest, with one request and with requests that hit different rules. */
const WORST: readonly string[] = [
  'templates that all fit but for a claim',
  'nested prefixes by claims, 100 each',
  'templates of varied depth',
];
const VARIANTS = 512;

/** Nanoseconds of CPU per decision by shape, before and after. */
type Pair = Readonly<Record<string, readonly [before: number, after: number]>>;

/** One shape. Its program exists only while it is measured. */
interface LazySubject {
  readonly name: string;
  readonly create: () => Subject;
}

/** The shapes of the tree at `root`, with that tree's own engine and request facts. */
async function subjectsOf(root: string): Promise<readonly LazySubject[]> {
  const load = async <T>(path: string): Promise<T> => (await import(pathToFileURL(join(root, path)).href)) as T;
  const { createEvaluator } = await load<typeof Evaluators>('src/policy/decide/evaluator.ts');
  const { mixedProgram, requestFor, strayRequest, claimsOf, toFacts } = await load<typeof Shapes>('test/bench/support/engine-shapes.ts');
  const { adversaries } = await load<typeof Adversaries>('test/bench/support/engine-adversaries.ts');

  type Facts = ReturnType<typeof toFacts>;
  type Request = ReturnType<typeof requestFor>;
  const batch = (evaluator: ReturnType<typeof createEvaluator>, facts: readonly Facts[], allowed: boolean): Batch => {
    const { length } = facts;
    const per = Math.max(POOL, length);
    return {
      per,
      run: () => {
        let count = 0;
        for (let i = 0; i < per; i++) if (evaluator.decide(facts[i % length] as Facts).allowed) count++;
        if (count !== (allowed ? per : 0)) throw new Error(`${root}: ${count} of ${per} requests are allowed`);
      },
    };
  };
  const pool = (make: (i: number) => Request): readonly Facts[] =>
    Array.from({ length: POOL }, (_, k) => {
      const request = make(Math.floor((k * RULES) / POOL));
      return toFacts(request, claimsOf(request));
    });

  const mix = (): ReturnType<typeof createEvaluator> => createEvaluator(mixedProgram(RULES));
  const last = requestFor(RULES - 1);
  const lazy = (name: string, create: () => Batch): LazySubject => ({ name, create: () => steady(name, create()) });
  const newToken = (): Subject => {
    const evaluator = mix();
    return everNew('new token', () => batch(evaluator, pool(requestFor), true));
  };
  const subjects = [
    lazy('last', () => batch(mix(), [toFacts(last, claimsOf(last))], true)),
    lazy('spread', () => batch(mix(), pool(requestFor), true)),
    lazy('none', () => batch(mix(), pool(strayRequest), false)),
    { name: 'new token', create: newToken },
  ];
  for (const { name, program, facts } of adversaries(RULES).filter((shape) => WORST.includes(shape.name))) {
    const variants = (): readonly Facts[] => Array.from({ length: VARIANTS }, (_, variant) => facts(variant));
    subjects.push(lazy(`worst: ${name}`, () => batch(createEvaluator(program()), [facts()], true)));
    subjects.push(lazy(`worst, unlike: ${name}`, () => batch(createEvaluator(program(VARIANTS)), variants(), true)));
  }
  return subjects;
}

/** One pair, measured in this process. The tree that comes first in `roots` is loaded first. */
async function measurePair(before: string, after: string, isAfterFirst: boolean, sampleMs: number): Promise<Pair> {
  const isWanted = ({ name }: LazySubject): boolean => shapes.length === 0 || shapes.includes(name);
  const roots = isAfterFirst ? [after, before] : [before, after];
  const trees: (readonly LazySubject[])[] = [];
  for (const root of roots) trees.push((await subjectsOf(root)).filter(isWanted));
  const [first, second] = trees as [readonly LazySubject[], readonly LazySubject[]];
  const pair: Record<string, readonly [number, number]> = {};
  for (const [at, { name, create }] of first.entries()) {
    const both = [create(), (second[at] as LazySubject).create()];
    const taken: [number[], number[]] = [[], []];
    for (const one of both) one.sample(4 * sampleMs);
    for (let turn = 0; turn < SAMPLES; turn++) {
      for (const index of turn % 2 === 0 ? [0, 1] : [1, 0]) taken[index]?.push((both[index] as Subject).sample(sampleMs));
    }
    const [ofFirst, ofSecond] = taken.map((samples) => Math.min(...samples)) as [number, number];
    pair[name] = isAfterFirst ? [ofSecond, ofFirst] : [ofFirst, ofSecond];
  }
  return pair;
}

/** 97.5th percentile of Student's t distribution by degrees of freedom; an approximation that is good to 0.5 % from 5 on. */
function studentT(freedom: number): number {
  const z = 1.959964;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}

interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Geometric mean of ratios with its 95 % interval. */
function intervalOf(ratios: readonly number[]): Interval {
  const logs = ratios.map(Math.log);
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const half = studentT(logs.length - 1) * Math.sqrt(variance / logs.length);
  return { mean: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}

function runPair(before: string, after: string, index: number, sampleMs: number): Pair {
  const args = [import.meta.filename, '--before', before, '--after', after, '--pair', String(index), '--ms', String(sampleMs)];
  for (const shape of shapes) args.push('--shape', shape);
  // Two engines at a time need more heap than an agent has.
  const { stdout, status } = spawnSync(process.execPath, [...agentFlags(), '--max-old-space-size=1024', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`pair ${index} failed with exit code ${status}`);
  return JSON.parse(stdout) as Pair;
}

function report(pairs: readonly Pair[]): void {
  const rows = Object.keys(pairs[0] as Pair).map((shape) => {
    const times = pairs.map((pair) => pair[shape] as readonly [number, number]);
    const { mean, low, high } = intervalOf(times.map(([before, after]) => after / before));
    const ns = (side: 0 | 1): string => duration(median(times.map((both) => both[side])));
    return [shape, ns(0), ns(1), mean.toFixed(3), `${low.toFixed(3)} to ${high.toFixed(3)}`];
  });
  process.stdout.write(`${pairs.length} pairs, ${RULES} rules, Node ${process.versions.node}\n\n`);
  printTable([['shape', 'before ns', 'after ns', 'ratio', '95 % interval'], ...rows]);
}

const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    after: { type: 'string', default: resolve(import.meta.dirname, '../..') },
    pairs: { type: 'string', default: '20' },
    ms: { type: 'string', default: '30' },
    shape: { type: 'string', multiple: true, default: [] },
    pair: { type: 'string' },
  },
});
if (values.before === undefined) throw new Error('--before DIR is missing: a source tree to compare with');
const before = resolve(values.before);
const after = resolve(values.after);
const sampleMs = Number(values.ms);
const shapes = values.shape;
if (values.pair === undefined) {
  const pairs: Pair[] = [];
  for (let index = 0; index < Number(values.pairs); index++) {
    progress(`pair ${index + 1} of ${values.pairs}`);
    pairs.push(runPair(before, after, index, sampleMs));
  }
  progressEnds();
  report(pairs);
} else {
  process.stdout.write(JSON.stringify(await measurePair(before, after, Number(values.pair) % 2 === 1, sampleMs)));
}
