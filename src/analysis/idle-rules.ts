/*
 * Finds rules without which the same requests are let in. Rules are tried from the last to the first, and one that is found counts as
 * removed from then on, so that all of them can be removed together.
 */
import type { Program, Provenance, Rule, Ruleset } from '../policy/model/program.ts';
import { allowOnly, type RulesByProtocol } from './allow-only.ts';
import { type CompareOptions, findAdmitted } from './compare-programs.ts';

/** Why a rule has no effect. */
export type IdleReason =
  | { readonly kind: 'never-matches' }
  /** Nothing is let in, with it and without it. */
  | { readonly kind: 'nothing-let-in' }
  /** `by` matches every request that it matches. */
  | { readonly kind: 'covered'; readonly by: Provenance }
  /** Other rules together decide all that it decides. */
  | { readonly kind: 'decided-by-others' };

/** A rule without effect, or one for which this is not decided. */
export interface IdleRule {
  readonly source: Provenance;
  /** Absent: not decided. */
  readonly reason?: IdleReason;
}

type Limit = Pick<CompareOptions, 'isOver'>;

type Action = 'allow' | 'deny' | 'custom';

const PROTOCOLS = ['http', 'tcp'] as const;
const NOTHING: RulesByProtocol = { http: [], tcp: [] };

/**
 * The rules that are idle in every one of `programs` that has them; programs with equal rules need to be given once only.
 * @param limitForRule the limit of the search for one rule
 */
export function* findIdleRules(programs: readonly Program[], limitForRule: () => Limit): Generator<IdleRule> {
  let current = programs;
  for (const { source, action } of rulesOf(programs).toReversed()) {
    const limit = limitForRule();
    const having = current.filter((program) => has(program, source));
    const answers = answersFor(having, source, action, limit);
    if (answers.includes('effective')) continue;
    if (answers.includes('undecided')) {
      yield { source };
      continue;
    }
    const [first] = having;
    if (first !== undefined) yield { source, reason: reasonFor(first, source, action, limit) };
    current = current.map((program) => (has(program, source) ? without(program, source) : program));
  }
}

type Answer = 'idle' | 'effective' | 'undecided';

/** The answer for each program, up to the first one in which the rule has an effect. */
function answersFor(programs: readonly Program[], source: Provenance, action: Action, limit: Limit): readonly Answer[] {
  const answers: Answer[] = [];
  for (const program of programs) {
    const rest = without(program, source);
    // Without a rule of ALLOW less is let in, without one of another action more.
    const answer = action === 'allow' ? compare(rest, program, limit) : compare(program, rest, limit);
    answers.push(answer);
    if (answer === 'effective') break;
  }
  return answers;
}

function compare(refusing: Program, admitting: Program, { isOver }: Limit): Answer {
  let answer: Answer = 'idle';
  for (const protocol of PROTOCOLS) {
    // A request that the engines decide differently is enough not to report the rule, whether or not a client can send it.
    const { kind } = findAdmitted(refusing, admitting, { protocol, isOver, confirm: () => true });
    if (kind === 'found') return 'effective';
    if (kind === 'undecided') answer = 'undecided';
  }
  return answer;
}

function reasonFor(program: Program, source: Provenance, action: Action, limit: Limit): IdleReason {
  const nothing = allowOnly(program, NOTHING);
  if (compare(nothing, program, limit) === 'idle') return { kind: 'nothing-let-in' };
  const matchedBy = (one: Provenance): Program =>
    allowOnly(program, { http: matching(program.http, one), tcp: matching(program.tcp, one) });
  const own = matchedBy(source);
  if (compare(nothing, own, limit) === 'idle') return { kind: 'never-matches' };
  for (const other of rulesOf([program])) {
    if (other.action !== action || sameRule(other.source, source)) continue;
    if (compare(matchedBy(other.source), own, limit) === 'idle') return { kind: 'covered', by: other.source };
  }
  return { kind: 'decided-by-others' };
}

interface KnownRule {
  readonly source: Provenance;
  readonly action: Action;
}

/** Every rule that can change a decision, once, by policy and position. */
function rulesOf(programs: readonly Program[]): readonly KnownRule[] {
  const known = new Map<string, KnownRule>();
  for (const { http, tcp } of programs) {
    for (const { allow, deny, custom } of [http, tcp]) {
      for (const { source } of custom.flatMap(({ rules }) => rules)) known.set(keyOf(source), { source, action: 'custom' });
      for (const { source } of deny.rules) known.set(keyOf(source), { source, action: 'deny' });
      for (const { source } of allow.rules) known.set(keyOf(source), { source, action: 'allow' });
    }
  }
  return [...known.values()].toSorted(({ source: one }, { source: other }) => {
    if (one.namespace !== other.namespace) return one.namespace < other.namespace ? -1 : 1;
    if (one.name !== other.name) return one.name < other.name ? -1 : 1;
    return one.rule - other.rule;
  });
}

function keyOf({ namespace, name, rule }: Provenance): string {
  return `${namespace}/${name} ${rule}`;
}

function sameRule(one: Provenance, other: Provenance): boolean {
  return one.rule === other.rule && one.name === other.name && one.namespace === other.namespace;
}

function allRules({ allow, deny, custom }: Ruleset): readonly Rule[] {
  return [...allow.rules, ...deny.rules, ...custom.flatMap(({ rules }) => rules)];
}

function matching(ruleset: Ruleset, source: Provenance): readonly Rule[] {
  return allRules(ruleset).filter((rule) => sameRule(rule.source, source));
}

function has({ http, tcp }: Program, source: Provenance): boolean {
  return matching(http, source).length > 0 || matching(tcp, source).length > 0;
}

function without(program: Program, source: Provenance): Program {
  const kept = (rules: readonly Rule[]): readonly Rule[] => rules.filter((rule) => !sameRule(rule.source, source));
  const rest = (ruleset: Ruleset): Ruleset => ({
    ...ruleset,
    custom: ruleset.custom.map((step) => ({ ...step, rules: kept(step.rules) })),
    deny: { ...ruleset.deny, rules: kept(ruleset.deny.rules) },
    allow: { ...ruleset.allow, rules: kept(ruleset.allow.rules) },
  });
  return { ...program, http: rest(program.http), tcp: rest(program.tcp) };
}
