/*
 * Searches for a request that one program lets in and the other refuses. A node is a set of constraints with values that meet them. The
 * real engines evaluate the values; a rule that they name and that must not match is broken in every possible way, each a child. So only the
 * rules that matter to the difference are ever looked at. A failed child reports the assumptions that it failed by: when its own
 * are not among them, its siblings fail alike.
 */
import type { CustomMatch, Decision, Evaluator } from '../policy/decide/decision.ts';
import type { CustomStep, Rule, Ruleset } from '../policy/model/program.ts';
import type { AttributeKey } from './attribute-key.ts';
import type { Budget } from './budget.ts';
import { clashingClaims, factsOf, type Values } from './candidate.ts';
import type { Conjunction, Constraint } from './constraint.ts';
import { type Guard, type RuleWay, type WaysContext, waysForRule, waysToBreak, waysToGuard } from './rule-ways.ts';
import { type SolveContext, type SolvedAttribute, solveAttribute } from './solve-attribute.ts';
import type { SeenRequest } from './token-cases.ts';
import { SENT, sentView, type View } from './view.ts';

/** One of the two programs, as the search sees it. */
export interface Side {
  readonly ruleset: Ruleset;
  readonly evaluator: Pick<Evaluator, 'custom' | 'decide'>;
  readonly seen: SeenRequest;
}

/** Why the refusing side refuses: a DENY rule (or one of a CUSTOM step that refuses), a CUSTOM server, the token, or no ALLOW rule. */
export type Reason = 'rule' | 'server' | 'token' | 'no-allow-rule';

/** What a search has to find. */
export interface Goal {
  readonly refusing: Side;
  readonly admitting: Side;
  readonly reason: Reason;
  /** Of the reason `server`: the {@link serverKey} of the CUSTOM server that only the refusing side asks. */
  readonly server?: string;
}

/** Equal for CUSTOM steps that ask the same server in the same way. */
export function serverKey({ provider }: CustomStep): string {
  return JSON.stringify(provider ?? null);
}

/** What the parts of one search share. */
export interface SearchContext extends WaysContext, SolveContext {
  readonly budget: Budget;
  /** Is the candidate a request that the real filter chains decide differently? */
  readonly confirm: (values: Values) => boolean;
}

/** What a branch assumes beyond its parent. A guard is one, too: only where it is assumed must one of its alternatives be true. */
type Assumption = Constraint | Guard;

/** The result of a branch: values, or the assumptions that exclude any. */
export type Found =
  | { readonly kind: 'found'; readonly values: Values }
  /** `isProven` false: a candidate was found that the real filter chains decide alike. */
  | { readonly kind: 'none'; readonly core: ReadonlySet<Assumption>; readonly isProven: boolean };

interface Node {
  readonly constraints: ReadonlyMap<AttributeKey, readonly Constraint[]>;
  readonly values: Values;
  readonly guards: readonly Guard[];
}

/** What a node has to do next. */
type Step =
  | { readonly kind: 'differs' }
  /** `guard`: the assumption by which one of the ways must be true; absent: the goal requires it. */
  | { readonly kind: 'branch'; readonly ways: Iterable<RuleWay>; readonly guard?: Guard };

/** A candidate meets constraints by which it must not match a rule, and the engine says that it does: one of the two is wrong. */
export class Disagreement extends Error {
  override readonly name: string = 'Disagreement';

  constructor() {
    super('the analysis and the engine read a rule differently, which is a bug in Sallyport');
  }
}

const NO_WAYS: readonly RuleWay[] = [];
const NO_CUSTOM: readonly CustomMatch[] = [];

/** The search for one goal. */
export class Search {
  readonly #goal: Goal;
  readonly #context: SearchContext;
  readonly #solved: Map<string, SolvedAttribute>;

  /** @param solved results for attributes that searches of one comparison share */
  constructor(goal: Goal, context: SearchContext, solved: Map<string, SolvedAttribute>) {
    this.#goal = goal;
    this.#context = context;
    this.#solved = solved;
  }

  /** A request that meets the constraints and the goal. @throws OutOfTime */
  run(way: RuleWay): Found {
    return this.#branch({ constraints: new Map(), values: new Map(), guards: [] }, [way]);
  }

  #branch(node: Node, ways: Iterable<RuleWay>, guard?: Guard): Found {
    const core = new Set<Assumption>(guard === undefined ? [] : [guard]);
    let isProven = true;
    for (const way of ways) {
      this.#context.budget.spend(1);
      const child = this.#assume(node, way);
      const found = 'core' in child ? child : this.#explore(child);
      if (found.kind === 'found') return found;
      isProven &&= found.isProven;
      const own = new Set<Assumption>([...addedBy(way, node), ...way.guards].filter((one) => found.core.has(one)));
      if (own.size === 0 && found.isProven) return found;
      for (const one of found.core) if (!own.has(one)) core.add(one);
    }
    return { kind: 'none', core, isProven };
  }

  #explore(node: Node): Found {
    const step = this.#next(node);
    if (step.kind === 'branch') return this.#branch(node, step.ways, step.guard);
    if (this.#context.confirm(node.values)) return { kind: 'found', values: node.values };
    return { kind: 'none', core: new Set([...[...node.constraints.values()].flat(), ...node.guards]), isProven: false };
  }

  /** The node with more constraints, or the constraints that exclude it. */
  #assume(node: Node, { constraints: added, guards }: RuleWay): Node | Extract<Found, { readonly kind: 'none' }> {
    const constraints = new Map(node.constraints);
    const changed = new Set<AttributeKey>();
    for (const one of added) {
      const before = constraints.get(one.key) ?? [];
      if (before.includes(one)) continue;
      constraints.set(one.key, [...before, one]);
      changed.add(one.key);
    }
    if (changed.size === 0 && added.length > 0 && guards.length === 0) throw new Disagreement();
    const values = new Map(node.values);
    for (const key of changed) {
      const solved = this.#solve(key, constraints.get(key) ?? []);
      if (solved.kind === 'none') return { kind: 'none', core: new Set(solved.core), isProven: true };
      values.set(key, solved.value);
    }
    const clash = clashingClaims(values);
    if (clash !== undefined) {
      const core = clash.flatMap((key) => constraints.get(key)?.filter(({ holds }) => holds) ?? []);
      return { kind: 'none', core: new Set(core), isProven: true };
    }
    return { constraints, values, guards: guards.length === 0 ? node.guards : [...node.guards, ...guards] };
  }

  #solve(key: AttributeKey, constraints: readonly Constraint[]): SolvedAttribute {
    const name = constraints
      .map(({ id }) => id)
      .sort((one, other) => one - other)
      .join();
    const known = this.#solved.get(name);
    if (known !== undefined) return known;
    const solved = solveAttribute(key, constraints, this.#context);
    this.#solved.set(name, solved);
    return solved;
  }

  #next({ values, guards }: Node): Step {
    const { refusing, admitting } = this.#goal;
    const evaluated = this.#evaluate(admitting, values);
    for (const guard of guards) {
      const ways = waysToGuard(guard, factsOf(values, sentView(guard.slot), this.#context.protocol), this.#context);
      if (ways !== undefined) return { ...branch(ways), guard };
    }
    const { decision, custom } = evaluated;
    const refusal = custom.find(({ step }) => step.provider === undefined);
    if (refusal !== undefined) return this.#break(refusal.rule, values, SENT);
    if (decision.rule !== undefined && !decision.allowed) return this.#break(decision.rule, values, viewOf(admitting));
    if (!decision.allowed) return { kind: 'branch', ways: this.#allowRules() };
    return this.#refuse(refusing, values, custom);
  }

  /** The admitting side lets the values in: does the other side refuse them? */
  #refuse(refusing: Side, values: Values, admittedBy: readonly CustomMatch[]): Step {
    if (refusing.seen === 'refused') return { kind: 'differs' };
    const { decision, custom } = this.#evaluate(refusing, values);
    const servers = new Set(admittedBy.map(({ step }) => serverKey(step)));
    const isStopped = custom.some(({ step }) => step.provider === undefined || !servers.has(serverKey(step)));
    if (!decision.allowed || isStopped) return { kind: 'differs' };
    if (this.#goal.reason === 'server') {
      const both = admittedBy.find(({ step }) => serverKey(step) === this.#goal.server);
      return both === undefined ? { kind: 'branch', ways: NO_WAYS } : this.#break(both.rule, values, SENT);
    }
    // A rule that must refuse does; here only an ALLOW rule can have let the values in.
    return decision.rule === undefined ? { kind: 'branch', ways: NO_WAYS } : this.#break(decision.rule, values, viewOf(refusing));
  }

  #evaluate(side: Side, values: Values): { readonly decision: Decision; readonly custom: readonly CustomMatch[] } {
    const { protocol } = this.#context;
    const decision = side.evaluator.decide(factsOf(values, viewOf(side), protocol), protocol);
    const custom = side.ruleset.custom.length === 0 ? NO_CUSTOM : side.evaluator.custom(factsOf(values, SENT, protocol), protocol);
    return { decision, custom };
  }

  #break(rule: Rule, values: Values, view: View): Step {
    return branch(waysToBreak(rule, factsOf(values, view, this.#context.protocol), view, this.#context));
  }

  *#allowRules(): Generator<RuleWay> {
    const { admitting } = this.#goal;
    for (const rule of admitting.ruleset.allow.rules) yield* waysForRule(rule, viewOf(admitting), this.#context);
  }
}

function viewOf({ seen }: Side): View {
  return seen === 'refused' ? SENT : seen;
}

/** The constraints of the way that the node does not have. */
function addedBy({ constraints }: RuleWay, node: Node): Conjunction {
  return constraints.filter((one) => node.constraints.get(one.key)?.includes(one) !== true);
}

function branch(ways: readonly Conjunction[]): Extract<Step, { readonly kind: 'branch' }> {
  return { kind: 'branch', ways: ways.map((constraints) => ({ constraints, guards: [] })) };
}
