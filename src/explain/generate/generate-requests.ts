/*
 * Generates requests that are likely to be decided differently by two programs: around the rules that differ first, then around
 * all others, then random ones. For `sallyport diff`.
 */
import type { Program } from '../../policy/model/program.ts';
import { type PartKey, type PartValue, partOf, valuesOf } from './clause-values.ts';
import type { Draft } from './draft.ts';
import { FILLER, type GeneratedRequest } from './generated-request.ts';
import { createObstacles } from './obstacles.ts';
import { createRandom, pick, type Random } from './random.ts';
import { type RuleTarget, type Targets, targetsOf } from './rule-targets.ts';
import { isTokenPart } from './solve-tokens.ts';
import { allHold, alternativesOf, findRequest, type SweepContext, sweepProvider, sweepRule } from './sweep-targets.ts';

/** Share of the requests after which every rule is reached once, even if sweeps of rules that differ are left. */
const SHARE_OF_DIFFERING = 0.6;
const MAX_POOL = 64;

/**
 * `count` requests. Rules and JWT rules that only one program has come first, from both in turn: an accepted request through every
 * value of every clause, inside and just outside. Then all other rules, then random requests. The same programs, count and seed give
 * the same requests.
 * @param seed whole number
 */
export function* generateRequests(programs: readonly [Program, Program], count: number, seed: number): Generator<GeneratedRequest> {
  let left = count;
  for (const request of everyRequest(programs, count, createRandom(seed))) {
    if (left-- <= 0) return;
    yield request;
  }
}

function* everyRequest(programs: readonly [Program, Program], count: number, random: Random): Generator<GeneratedRequest> {
  const targets = targetsOf(programs);
  const context: SweepContext = { obstacles: createObstacles(targets.rules, programs), random };
  const sweepsOf = (differs: boolean): readonly Generator<GeneratedRequest>[] => [
    ...targets.rules.filter((target) => target.differs === differs).map((target) => sweepRule(target, context)),
    ...targets.providers.filter((target) => target.differs === differs).map((target) => sweepProvider(target, context)),
  ];
  const differing = inTurn(sweepsOf(true));
  yield* take(differing, Math.floor(count * SHARE_OF_DIFFERING));
  const common = sweepsOf(false);
  for (const sweep of common) yield* take(sweep, 1);
  yield* differing;
  yield* inTurn(common);
  yield* randomRequests(targets, programs, context);
}

/** The next items of `items`, without ending it. */
function* take<T>(items: Iterator<T>, count: number): Generator<T> {
  for (let index = 0; index < count; index++) {
    const next = items.next();
    if (next.done === true) return;
    yield next.value;
  }
}

/** One item of each generator in turn until all have ended. */
function* inTurn<T>(generators: readonly Iterator<T>[]): Generator<T> {
  let open = generators;
  while (open.length > 0) {
    const rest: Iterator<T>[] = [];
    for (const generator of open) {
      const next = generator.next();
      if (next.done === true) continue;
      yield next.value;
      rest.push(generator);
    }
    open = rest;
  }
}

/** Requests around random rules with random values in parts that the rule does not look at; plain ones without any rule. */
function* randomRequests(
  { rules }: Targets,
  [{ providers }]: readonly [Program, Program],
  context: SweepContext,
): Generator<GeneratedRequest> {
  const { random } = context;
  const pool = poolOf(rules);
  const differing = rules.filter(({ differs }) => differs);
  for (;;) {
    const target = pick(random(2) === 0 && differing.length > 0 ? differing : rules, random);
    const clauses = target === undefined ? [] : (pick(alternativesOf(target.rule), random) ?? []);
    const missed = random(3) === 0 ? pick(clauses, random) : undefined;
    const constraints = allHold(clauses.filter((clause) => clause !== missed));
    const goal = { constraints, extra: randomDraft(pool, random) };
    const request =
      findRequest(goal, target, target?.program.providers ?? providers, context) ??
      findRequest({ ...goal, constraints: [] }, target, providers, context);
    yield request ?? { method: 'GET', path: `/${FILLER}`, headers: [] };
  }
}

/** Values that the rules name, by part; claims are chosen with the token. */
function poolOf(rules: readonly RuleTarget[]): ReadonlyMap<PartKey, readonly PartValue[]> {
  const pool = new Map<PartKey, PartValue[]>();
  for (const { rule } of rules) {
    for (const clause of [...rule.from.flat(), ...rule.to.flat(), ...rule.when]) {
      const key = partOf(clause);
      if (key === undefined || isTokenPart(key)) continue;
      const values = pool.get(key) ?? [];
      if (values.length < MAX_POOL) pool.set(key, [...values, ...valuesOf(clause)]);
    }
  }
  return pool;
}

function randomDraft(pool: ReadonlyMap<PartKey, readonly PartValue[]>, random: Random): Draft {
  return new Map([...pool].flatMap(([key, values]) => (random(4) === 0 ? [[key, pick(values, random)] as const] : [])));
}
