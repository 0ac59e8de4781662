/*
 * Requests around one rule: each alternative with every value of every clause, inside and just outside, while all other clauses hold.
 */
import type { Clause, JwtProvider, Rule } from '../../policy/model/program.ts';
import { partOf, valuesOf } from './clause-values.ts';
import { type Constraint, factsOfDraft } from './draft.ts';
import type { GeneratedRequest } from './generated-request.ts';
import { missOf, type Obstacles } from './obstacles.ts';
import { pickPassing, type Random } from './random.ts';
import type { ProviderTarget, RuleTarget } from './rule-targets.ts';
import { type Goal, solveRequest } from './solve-request.ts';
import { isTokenPart, placesOf, type TokenPlan } from './solve-tokens.ts';

/** What the sweeps need besides their target. */
export interface SweepContext {
  readonly obstacles: Obstacles;
  readonly random: Random;
}

/** Attempts to avoid the rules that hide a target. */
const MAX_ATTEMPTS = 8;
/** ALLOW rules that are tried to accept a request that a DENY rule matches. */
const MAX_BACKGROUNDS = 2000;
/** ALLOW rules through which the token of a JWT rule is sent. */
const MAX_RULES_OF_PROVIDER = 200;

/** Every source with the first operation, and every further operation with the first source. */
export function alternativesOf({ from, to, when }: Rule): readonly (readonly Clause[])[] {
  const [operation = []] = to;
  const [source = []] = from;
  return [...from.map((one) => [...operation, ...one, ...when]), ...to.slice(1).map((other) => [...other, ...source, ...when])];
}

/** Constraints under which all of `clauses` hold. */
export function allHold(clauses: readonly Clause[]): readonly Constraint[] {
  return clauses.map((clause) => ({ clause, holds: true }));
}

/** A request for the goal that no other rule keeps from reaching `target`, as far as a few attempts find one; undefined: none at all. */
export function findRequest(
  goal: Goal,
  target: RuleTarget | undefined,
  providers: readonly JwtProvider[],
  context: SweepContext,
): GeneratedRequest | undefined {
  const { obstacles, random } = context;
  let misses: readonly Constraint[] = [];
  let last: GeneratedRequest | undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const solved = solveRequest({ ...goal, constraints: [...goal.constraints, ...misses] }, { providers, random });
    if (solved === undefined) {
      if (misses.length === 0) return undefined;
      // The constraints contradict each other: miss the other rules by other clauses.
      misses = [];
      continue;
    }
    last = solved.request;
    const [facts, claims] = [factsOfDraft(solved.draft), solved.request.tokens?.at(-1)?.claims];
    const hiding = obstacles.hiding(target, facts, claims);
    if (hiding === undefined) return last;
    misses = [...misses, ...missOf(hiding, facts, claims, random)];
  }
  return last;
}

/** Requests around a rule; the first one of each alternative matches it. */
export function* sweepRule(target: RuleTarget, context: SweepContext): Generator<GeneratedRequest> {
  const { providers } = target.program;
  const needsToken = providers.some(({ required }) => required);
  const backgrounds = createBackgrounds(target, context);
  const find = (goal: Goal): readonly GeneratedRequest[] => {
    const background = backgrounds.for(goal);
    const found = background === undefined ? undefined : findRequest(withConstraints(goal, background), target, providers, context);
    return found === undefined ? [] : [found];
  };
  for (const clauses of alternativesOf(target.rule)) {
    yield* find({ constraints: allHold(clauses) });
    for (const clause of clauses) {
      const key = partOf(clause);
      if (key === undefined) continue;
      const constraints = allHold(clauses.filter((one) => one !== clause));
      for (const value of [...valuesOf(clause), undefined]) yield* find({ constraints, pin: { key, value } });
      if (!isTokenPart(key)) continue;
      for (const provider of providers) yield* find({ constraints, token: { kind: 'token', provider } });
      if (!needsToken) yield* find({ constraints, token: { kind: 'none' } });
    }
  }
}

function withConstraints(goal: Goal, more: readonly Constraint[]): Goal {
  return { ...goal, constraints: [...goal.constraints, ...more] };
}

/** ALLOW rules under which a request that a DENY rule matches is allowed otherwise. */
interface Backgrounds {
  /** Constraints of a rule that can be met together with the goal; `[]`: none are needed; undefined: there is no such rule. */
  readonly for: (goal: Goal) => readonly Constraint[] | undefined;
}

function createBackgrounds({ role, program }: RuleTarget, { random }: SweepContext): Backgrounds {
  const { allow } = program.http;
  if (role !== 'deny' || !allow.attached) return { for: () => [] };
  const all = allow.rules.flatMap(alternativesOf).slice(0, MAX_BACKGROUNDS).map(allHold);
  return {
    for: (goal) =>
      pickPassing(all, (one) => solveRequest(withConstraints(goal, one), { providers: program.providers, random }) !== undefined, random)
        ?.value,
  };
}

/** Requests with the tokens that a JWT rule accepts, in every place, plain and through the ALLOW rules, and requests without one. */
export function* sweepProvider({ provider, program, differs }: ProviderTarget, context: SweepContext): Generator<GeneratedRequest> {
  const { providers } = program;
  const plans: readonly TokenPlan[] = [
    ...placesOf(provider).map((place) => ({ kind: 'token', provider, place }) as const),
    ...provider.audiences.map((audience) => ({ kind: 'token', provider, audience }) as const),
  ];
  const find = (goal: Goal): readonly GeneratedRequest[] => {
    const found = findRequest(goal, undefined, providers, context);
    return found === undefined ? [] : [found];
  };
  for (const token of plans) yield* find({ constraints: [], token });
  if (!differs) return;
  const wrong = { ...provider, audiences: [], issuer: `${provider.issuer}x1` };
  yield* find({ constraints: [], token: { kind: 'token', provider: wrong } });
  yield* find({ constraints: [], token: { kind: 'token', provider: { ...provider, audiences: ['x1'] } } });
  for (const rule of program.http.allow.rules.slice(0, MAX_RULES_OF_PROVIDER)) {
    for (const clauses of alternativesOf(rule)) {
      const constraints = allHold(clauses);
      for (const token of [...plans, { kind: 'none' } as const]) yield* find({ constraints, token });
    }
  }
}
