/*
 * Benchmark of the decision engine and of others, in one run: `node test/bench/engine.ts [--quick]`. Measures rules in Istio's style, and
 * programs that are difficult for an index. Prints tables on stdout and progress on stderr. Times are nanoseconds of CPU per decision,
 * medians of several turns; the decisions of every engine are checked first.
 */
import { spawnSync } from 'node:child_process';
import type { Evaluator } from '../../src/policy/decide/decision.ts';
import { createEvaluator } from '../../src/policy/decide/evaluator.ts';
import { createLinearEvaluator } from '../../src/policy/decide/linear.ts';
import type { RequestFacts } from '../../src/policy/facts.ts';
import type { Program } from '../../src/policy/model/program.ts';
import { agentFlags } from '../support/agent-flags.ts';
import { type Adversary, adversaries } from './support/engine-adversaries.ts';
import { attributePrograms } from './support/engine-attributes.ts';
import {
  type Batch,
  build,
  everNew,
  garbageOf,
  inTurns,
  median,
  type Subject,
  steady,
  stepOfMachine,
  type Turns,
} from './support/engine-clock.ts';
import { PEERS, type Peer } from './support/engine-peers.ts';
import { claimsOf, type MixedRequest, mixedProgram, mixedRule, requestFor, strayRequest, toFacts } from './support/engine-shapes.ts';
import { reportRatio, TOLERANCE } from './support/ratios.ts';
import { duration, printTable, progress, progressEnds } from './support/table.ts';

const isQuick: boolean = process.argv.includes('--quick');
const turns: Turns = isQuick ? { repetitions: 3, sampleMs: 20 } : { repetitions: 9, sampleMs: 60 };
const SIZES: readonly number[] = [1, 10, 100, 1_000, 10_000];
const LARGEST = 10_000;
/** Requests that are decided in turn in one measurement. */
const POOL = 256;
/** Variants of one request: several times the number of results that the engine caches. */
const VARIANTS = 512;
/** Programs that are in memory at the same time. */
const SHAPES_AT_ONCE = 6;

/** Number of allowed requests of the last batch; unused results would be optimized away. */
let allowed = 0;

function batchOf(evaluator: Evaluator, facts: readonly RequestFacts[], per = Math.max(POOL, facts.length)): Batch {
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

/** Requests spread over all rules, each with a token that no engine has seen. */
function pool(size: number, make: (i: number) => MixedRequest): readonly RequestFacts[] {
  return Array.from({ length: POOL }, (_, k) => {
    const request = make(Math.floor((k * size) / POOL));
    return toFacts(request, claimsOf(request));
  });
}

function agree(evaluator: Evaluator, program: Program, facts: readonly RequestFacts[]): void {
  const oracle = createLinearEvaluator(program);
  for (const one of facts) {
    if (evaluator.decide(one).rule !== oracle.decide(one).rule) throw new Error('the indexed evaluator differs from the linear one');
  }
}

/** The mix with one number of rules, and everything that is measured with it. */
interface Size {
  readonly size: number;
  readonly evaluator: Evaluator;
  readonly program: Program;
  readonly subjects: readonly [last: Subject, spread: Subject, none: Subject, newToken: Subject, seenToken: Subject];
}

const SUBJECT_NAMES = ['last', 'spread', 'none', 'new token', 'seen token'] as const;

function prepareSize(size: number): Size {
  const program = mixedProgram(size);
  const evaluator = createEvaluator(program);
  const last = [toFacts(requestFor(size - 1), claimsOf(requestFor(size - 1)))];
  const spread = pool(size, requestFor);
  const none = pool(size, strayRequest);
  agree(evaluator, program, [...last, ...spread, ...none]);
  const fresh = (isSeen: boolean) => (): Batch => {
    const facts = pool(size, requestFor);
    if (isSeen) for (let time = 0; time < 2; time++) for (const one of facts) evaluator.decide(one);
    return batchOf(evaluator, facts);
  };
  const subjects = [
    steady('last', batchOf(evaluator, last)),
    steady('spread', batchOf(evaluator, spread)),
    steady('none', batchOf(evaluator, none)),
    everNew('new token', fresh(false)),
    everNew('seen token', fresh(true)),
  ] as const;
  return { size, evaluator, program, subjects };
}

/** Nanoseconds by size and subject. */
function compareSizes(sizes: readonly Size[]): readonly (readonly number[])[] {
  progress('sizes: last, spread, none, new and seen tokens');
  const measured = inTurns(
    sizes.flatMap(({ subjects }) => subjects),
    turns,
  );
  const per = SUBJECT_NAMES.length;
  const bySize = sizes.map((_, at) => measured.slice(at * per, (at + 1) * per));
  const heading = ['rules', ...SUBJECT_NAMES.map((name) => `${name} ns`), 'last/s', 'spread/s', 'linear ns', 'garbage B', 'of a new token'];
  const rows = sizes.map(({ size, evaluator, program }, at) => {
    const times = bySize[at] as readonly number[];
    const [last = 0, spread = 0] = times;
    const [facts] = pool(1, () => requestFor(size - 1));
    const linear = createLinearEvaluator(program);
    const plain = inTurns([steady('linear', batchOf(linear, [facts as RequestFacts], 8))], { ...turns, repetitions: 3 })[0] as number;
    const garbage = garbageOf(() => batchOf(evaluator, pool(1, () => requestFor(size - 1)).slice(0, 1), 2_000));
    const garbageOfNew = garbageOf(() => batchOf(evaluator, pool(size, requestFor)));
    return [
      String(size),
      ...times.map(duration),
      millions(last),
      millions(spread),
      duration(plain),
      garbage.toFixed(1),
      garbageOfNew.toFixed(0),
    ];
  });
  printTable([heading, ...rows]);
  const ratios = SUBJECT_NAMES.map((name, at) => `${name} ${((bySize.at(-1)?.[at] ?? 0) / (bySize[1]?.[at] ?? 1)).toFixed(2)}x`);
  process.stdout.write(`growth from 10 to 10,000 rules: ${ratios.join(', ')}\n\n`);
  for (const [at, name] of SUBJECT_NAMES.entries())
    reportRatio(['engine', name, '10000 : 10 rules'], (bySize.at(-1)?.[at] ?? 0) / (bySize[1]?.[at] ?? 1), TOLERANCE.time);
  return bySize;
}

function millions(ns: number): string {
  return `${(1e3 / ns).toFixed(ns > 1e3 ? 2 : 1)} M`;
}

interface FirstIndex {
  /** Wall time in milliseconds. */
  readonly firstMs: number;
  readonly heapMiB: number;
  readonly rssMiB: number;
}

/** Measures in a separate process with the agent's flags. */
function measureFirst(size: number): FirstIndex {
  const script = new URL('./support/engine-memory.ts', import.meta.url).pathname;
  const { stdout, status } = spawnSync(process.execPath, [...agentFlags(), script, String(size)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error('engine-memory.ts failed');
  return JSON.parse(stdout) as FirstIndex;
}

function measureBuilds(): void {
  progress('builds and memory');
  const builds = SIZES.map((): number[] => []);
  const programs = SIZES.map(mixedProgram);
  for (let turn = 0; turn < turns.repetitions; turn++) {
    for (const [at, program] of programs.entries()) builds[at]?.push(build(() => createEvaluator(program)).ms);
  }
  const rows = SIZES.map((size, at) => {
    const firsts = Array.from({ length: turns.repetitions }, () => measureFirst(size));
    const of = (key: keyof FirstIndex): number => median(firsts.map((one) => one[key]));
    return [
      String(size),
      of('firstMs').toFixed(1),
      median(builds[at] as number[]).toFixed(1),
      of('heapMiB').toFixed(2),
      of('rssMiB').toFixed(1),
    ];
  });
  printTable([['rules', 'first build of a process ms', 'build ms', 'index MiB', 'RSS it adds MiB'], ...rows]);
}

function compareAttributes(): void {
  const sizes = SIZES.map((size) => attributePrograms(size));
  const rows = (sizes[0] as readonly Adversary[]).map(({ name }, at) => {
    progress(`attributes: ${name}`);
    const subjects = sizes.map((programs) => shapeSubject(programs[at] as Adversary).subject);
    const times = inTurns(subjects, turns);
    reportRatio(['engine', name, '10000 : 10'], (times.at(-1) as number) / (times[1] as number), TOLERANCE.time);
    return [
      name,
      ...times.map(duration),
      millions(times.at(-1) as number),
      `${((times.at(-1) as number) / (times[1] as number)).toFixed(2)}x`,
    ];
  });
  printTable([['one attribute, last matches: ns', ...SIZES.map(String), 'at 10000/s', '10000 : 10'], ...rows]);
}

function shapeSubject(shape: Adversary): {
  readonly subject: Subject;
  readonly varied: () => Subject;
  readonly fresh: Subject;
  readonly evaluator: Evaluator;
  readonly ms: number;
} {
  const program = shape.program();
  const { made: evaluator, ms } = build(() => createEvaluator(program));
  const facts = shape.facts();
  agree(evaluator, program, [facts, facts, facts, shape.facts()]);
  const varied = (): Subject => {
    const withVariants = shape.program(VARIANTS);
    const other = createEvaluator(withVariants);
    const variants = Array.from({ length: VARIANTS }, (_, variant) => shape.facts(variant));
    agree(other, withVariants, variants.slice(0, 3));
    return steady(shape.name, batchOf(other, variants));
  };
  const fresh = (): Batch =>
    batchOf(
      evaluator,
      Array.from({ length: 32 }, () => shape.facts()),
      32,
    );
  return { subject: steady(shape.name, batchOf(evaluator, [facts])), varied, fresh: everNew(shape.name, fresh), evaluator, ms };
}

/** Measures few programs at a time in turns with the mix, so that load on the machine is visible. */
function measureAdversaries(mix: Size): void {
  const rows: string[][] = [];
  const shapes = adversaries(LARGEST);
  for (let from = 0; from < shapes.length; from += SHAPES_AT_ONCE) {
    progress(`shapes: ${from} of ${shapes.length}`);
    const some = shapes.slice(from, from + SHAPES_AT_ONCE).map((shape) => ({ ...shapeSubject(shape), shape }));
    const [spread, ...times] = inTurns([mix.subjects[1], ...some.flatMap(({ subject, varied }) => [subject, varied()])], turns);
    const fresh = inTurns(
      some.map(({ fresh: subject }) => subject),
      { repetitions: 3, sampleMs: turns.sampleMs },
    );
    for (const [at, { shape, evaluator, ms }] of some.entries()) {
      const ns = times[2 * at] as number;
      const varied = times[2 * at + 1] as number;
      const garbage = garbageOf(() => batchOf(evaluator, [shape.facts()], 2_000));
      const ratio = `${(ns / (spread as number)).toFixed(1)}x`;
      rows.push([
        shape.name,
        duration(ns),
        millions(ns),
        ratio,
        duration(varied),
        millions(varied),
        duration(fresh[at] as number),
        garbage.toFixed(0),
        ms.toFixed(0),
      ]);
    }
  }
  printTable([
    [`${LARGEST} rules, last decides`, 'ns', 'decisions/s', 'of the mix', 'unlike ns', 'unlike/s', 'new token ns', 'garbage B', 'build ms'],
    ...rows,
  ]);
  process.stdout.write(`unlike: ${VARIANTS} requests in turn, each of which also hits another rule\n\n`);
}

/** Prints the speed of the machine between the tables. */
function printMachineSpeed(): void {
  process.stdout.write(`machine: ${stepOfMachine().toFixed(2)} ns per arithmetic step\n\n`);
}

type Times = { readonly last: number; readonly none: number };

/** Measures a peer and our engine in turns with one number of rules; `undefined`: the peer is not available, which is logged. */
async function comparePeer(peer: Peer, { size, subjects }: Size): Promise<{ readonly peer: Times; readonly own: Times } | undefined> {
  try {
    const peerDecision = await peer.load(Array.from({ length: size }, (_, i) => mixedRule(i)));
    for (const i of [0, size >> 1, size - 1]) {
      if (!peerDecision(requestFor(i))() || peerDecision(strayRequest(i))()) throw new Error('returns another decision');
    }
    const [last = 0, none = 0, ownLast = 0, ownNone = 0] = inTurns(
      [
        steady(peer.name, { per: 1, run: peerDecision(requestFor(size - 1)) }),
        steady(peer.name, { per: 1, run: peerDecision(strayRequest(size - 1)) }),
        subjects[0],
        subjects[2],
      ],
      { ...turns, repetitions: Math.min(turns.repetitions, 5) },
    );
    return { peer: { last, none }, own: { last: ownLast, none: ownNone } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`NOT MEASURED: ${peer.name} with ${size} rules: ${reason.slice(0, 300)}\n`);
    return undefined;
  }
}

async function comparePeers(sizes: readonly Size[]): Promise<void> {
  const lasts: string[][] = [['last matches: ns, and times ours', ...SIZES.map(String)]];
  const nones: string[][] = [['none matches: ns, and times ours', ...SIZES.map(String)]];
  for (const peer of PEERS) {
    const last = [peer.name];
    const none = [peer.name];
    for (const size of sizes) {
      progress(`peers: ${peer.name}, ${size.size} rules`);
      const found = await comparePeer(peer, size);
      const cell = (kind: keyof Times): string =>
        found === undefined ? 'not measured' : `${duration(found.peer[kind])} (${(found.peer[kind] / found.own[kind]).toFixed(0)}x)`;
      last.push(cell('last'));
      none.push(cell('none'));
    }
    lasts.push(last);
    nones.push(none);
  }
  printTable(lasts);
  printTable(nones);
}

process.stdout.write(
  `decision engine, Node ${process.versions.node}; nanoseconds of CPU per decision, medians of ${turns.repetitions} turns of ${turns.sampleMs} ms\n\n`,
);
printMachineSpeed();
measureBuilds();
const sizes = SIZES.map(prepareSize);
compareSizes(sizes);
printMachineSpeed();
compareAttributes();
measureAdversaries(sizes.at(-1) as Size);
printMachineSpeed();
await comparePeers(sizes);
printMachineSpeed();
progressEnds();
if (allowed < 0) throw new Error('a negative number of requests is allowed');
