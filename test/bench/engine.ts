/*
 * The decision engine beside others, in one run: `node test/bench/engine.ts [--quick]`. In: rules of Istio's shape, and shapes that
 * defeat plain indexes. Out: tables on stdout. Times are nanoseconds of CPU for one decision; every engine's answers are
 * checked first.
 */

import type { Evaluator } from '../../src/policy/decide/decision.ts';
import { createEvaluator } from '../../src/policy/decide/evaluator.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import type { RequestFacts } from '../../src/policy/request/facts.ts';
import { type Batch, build, type ClockOptions, garbageOf, median, timeDecision } from './support/engine-clock.ts';
import { PEERS, type Peer } from './support/engine-peers.ts';
import {
  adversaries,
  claimsOf,
  type MixedRequest,
  mixedProgram,
  mixedRule,
  requestFor,
  strayRequest,
  toFacts,
} from './support/engine-shapes.ts';

const isQuick: boolean = process.argv.includes('--quick');
const clock: ClockOptions = isQuick ? { sampleMs: 40, samples: 3 } : { sampleMs: 150, samples: 7 };
const SIZES: readonly number[] = [1, 10, 100, 1_000, 10_000];
/** Requests that go round in one measurement. */
const POOL = 256;
const LARGEST = 10_000;

const seconds: number = 1e9;
/** Allowed by the batch that ran last: what is never read is optimised away. */
let allowed = 0;

function batchOf(evaluator: Evaluator, facts: readonly RequestFacts[]): Batch {
  const per = Math.max(POOL, facts.length);
  const { length } = facts;
  return {
    per,
    run: () => {
      let yes = 0;
      for (let i = 0; i < per; i++) if (evaluator.decide(facts[i % length] as RequestFacts).allowed) yes++;
      allowed = yes;
    },
  };
}

/** Requests over all rules. */
function pool(size: number, make: (i: number) => MixedRequest): readonly RequestFacts[] {
  return Array.from({ length: POOL }, (_, k) => {
    const request = make(Math.floor((k * size) / POOL));
    return toFacts(request, claimsOf(request));
  });
}

/** Nanoseconds of the first decision for a token: each request has a token that was never seen. */
function timeNewTokens(evaluator: Evaluator, size: number): number {
  const taken: number[] = [];
  for (let sample = 0; sample < clock.samples * 4; sample++) {
    const facts = pool(size, requestFor);
    const began = process.cpuUsage();
    for (const one of facts) allowed = Number(evaluator.decide(one).allowed);
    const { user, system } = process.cpuUsage(began);
    taken.push(((user + system) * 1000) / facts.length);
  }
  return median(taken);
}

function agree(evaluator: Evaluator, oracle: Evaluator, facts: readonly RequestFacts[]): void {
  for (const one of facts) {
    if (evaluator.decide(one).rule !== oracle.decide(one).rule) throw new Error('the indexed evaluator differs from the linear one');
  }
}

interface Own {
  readonly last: number;
  readonly spread: number;
  readonly none: number;
}

function measureOwn(size: number): { readonly own: Own; readonly row: readonly string[] } {
  const program = mixedProgram(size);
  const { made: evaluator, ms, mib } = build(() => createEvaluator(program));
  const builds = Array.from({ length: 3 }, () => build(() => createEvaluator(program)).ms);
  const linear = createLinearEvaluator(program);
  const last = [toFacts(requestFor(size - 1), claimsOf(requestFor(size - 1)))];
  const spread = pool(size, requestFor);
  const none = pool(size, strayRequest);
  agree(evaluator, linear, [...last, ...spread, ...none]);
  const own: Own = {
    last: timeDecision(batchOf(evaluator, last), clock),
    spread: timeDecision(batchOf(evaluator, spread), clock),
    none: timeDecision(batchOf(evaluator, none), clock),
  };
  const plain = timeDecision(batchOf(linear, last), { ...clock, samples: 1 });
  const cells = [own.last, own.spread, own.none, timeNewTokens(evaluator, size), plain].map(nanoseconds);
  const rate = `${(seconds / own.spread / 1e6).toFixed(1)} M`;
  const garbage = garbageOf(batchOf(evaluator, spread)).toFixed(0);
  const row = [String(size), ...cells, rate, garbage, `${ms.toFixed(1)} / ${median(builds).toFixed(1)}`, mib.toFixed(2)];
  return { own, row };
}

function nanoseconds(ns: number): string {
  return ns < 10_000 ? ns.toFixed(0) : `${(ns / 1000).toFixed(0)} us`;
}

/** Prints columns, the first to the left and the others to the right. */
function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] as readonly string[]).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) {
    const cells = widths.map((width, column) => (column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width)));
    console.log(cells.join('  '));
  }
  console.log('');
}

/** Times of one peer by number of rules: nanoseconds, or why there are none. */
async function measurePeer(peer: Peer, size: number): Promise<{ readonly last: number; readonly none: number } | string> {
  try {
    const ask = await peer.load(Array.from({ length: size }, (_, i) => mixedRule(i)));
    for (const i of [0, size >> 1, size - 1]) {
      if (!ask(requestFor(i))() || ask(strayRequest(i))()) throw new Error('gives another answer');
    }
    const options = { sampleMs: clock.sampleMs, samples: Math.min(clock.samples, 3) };
    return {
      last: timeDecision({ per: 1, run: ask(requestFor(size - 1)) }, options),
      none: timeDecision({ per: 1, run: ask(strayRequest(size - 1)) }, options),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`NOT MEASURED: ${peer.name} with ${size} rules: ${reason.slice(0, 300)}`);
    return 'not measured';
  }
}

async function comparePeers(ownBySize: ReadonlyMap<number, Own>): Promise<void> {
  const rows: string[][] = [
    ['last matches: ns, and times ours', ...SIZES.map(String)],
    ['sallyport', ...SIZES.map((size) => nanoseconds(ownBySize.get(size)?.last ?? 0))],
  ];
  const stray: string[][] = [
    ['none matches: ns, and times ours', ...SIZES.map(String)],
    ['sallyport', ...SIZES.map((size) => nanoseconds(ownBySize.get(size)?.none ?? 0))],
  ];
  for (const peer of PEERS) {
    const lasts = [peer.name];
    const nones = [peer.name];
    for (const size of SIZES) {
      const own = ownBySize.get(size) as Own;
      const found = await measurePeer(peer, size);
      lasts.push(typeof found === 'string' ? found : `${nanoseconds(found.last)} (${(found.last / own.last).toFixed(0)}x)`);
      nones.push(typeof found === 'string' ? found : `${nanoseconds(found.none)} (${(found.none / own.none).toFixed(0)}x)`);
    }
    rows.push(lasts);
    stray.push(nones);
  }
  print(rows);
  print(stray);
}

function measureAdversaries(): void {
  const rows: string[][] = [[`${LARGEST} rules, last matches`, 'ns', 'decisions/s', 'garbage B', 'build ms', 'MiB']];
  for (const { name, program, facts } of adversaries(LARGEST)) {
    const { made: evaluator, ms, mib } = build(() => createEvaluator(program));
    agree(evaluator, createLinearEvaluator(program), facts);
    const ns = timeDecision(batchOf(evaluator, facts), clock);
    const garbage = garbageOf(batchOf(evaluator, facts));
    rows.push([name, nanoseconds(ns), `${(seconds / ns / 1e6).toFixed(2)} M`, garbage.toFixed(0), ms.toFixed(0), mib.toFixed(1)]);
  }
  print(rows);
}

console.log(`decision engine, Node ${process.versions.node}; nanoseconds of CPU for one decision, medians of ${clock.samples}\n`);
const heading = ['rules', 'last', 'spread', 'none', 'new token', 'linear', 'spread/s', 'garbage B', 'build ms first / again', 'MiB'];
const measured = SIZES.map((size) => ({ size, ...measureOwn(size) }));
print([heading, ...measured.map(({ row }) => [...row])]);
const ownBySize: ReadonlyMap<number, Own> = new Map(measured.map(({ size, own }) => [size, own]));
const growth = (kind: keyof Own): string => ((ownBySize.get(10_000)?.[kind] ?? 0) / (ownBySize.get(10)?.[kind] ?? 1)).toFixed(2);
console.log(`growth from 10 to 10,000 rules: last ${growth('last')}x, spread ${growth('spread')}x, none ${growth('none')}x\n`);
measureAdversaries();
await comparePeers(ownBySize);
if (allowed < 0) throw new Error('less than nothing was allowed');
