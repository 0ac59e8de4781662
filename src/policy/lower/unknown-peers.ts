/*
 * Programs for agents that identify peers by the addresses of pods, where "no identity" means "unknown" and not "none": a condition on an
 * unknown peer, negative or positive, fails under ALLOW and holds under DENY and AUDIT.
 */
import type { Clause, Engine, IdentityMatch, Rule, Ruleset } from '../model/program.ts';

type PeerClause = Extract<Clause, { readonly attribute: 'peer' }>;

const PRESENT: readonly IdentityMatch[] = [{ kind: 'present' }];

/** The rules of `ruleset` with this meaning; rules without a condition on the peer stay as they are. CUSTOM rules cannot have one. */
export function strictOnUnknownPeers(ruleset: Ruleset): Ruleset {
  return {
    ...ruleset,
    audit: withRules(ruleset.audit, denying),
    deny: withRules(ruleset.deny, denying),
    dryRunDeny: withRules(ruleset.dryRunDeny, denying),
    allow: withRules(ruleset.allow, allowing),
    dryRunAllow: withRules(ruleset.dryRunAllow, allowing),
  };
}

function withRules(engine: Engine, change: (rule: Rule) => Rule): Engine {
  return { ...engine, rules: engine.rules.map((rule) => (hasPeer(rule) ? change(rule) : rule)) };
}

function hasPeer({ from, when }: Rule): boolean {
  return [...from, when].some((clauses) => clauses.some(isPeer));
}

function isPeer(clause: Clause): clause is PeerClause {
  return clause.attribute === 'peer';
}

/** A negative condition alone would hold for an unknown peer. */
function allowing(rule: Rule): Rule {
  const known = (clauses: readonly Clause[]): readonly Clause[] =>
    clauses.map((clause) => (isPeer(clause) && clause.anyOf === undefined ? { ...clause, anyOf: PRESENT } : clause));
  return { ...rule, from: rule.from.map(known), when: known(rule.when) };
}

/** A positive condition alone would fail for an unknown peer: each entry that has one gets a second form, for unknown peers only. */
function denying(rule: Rule): Rule {
  // Conditions hold together with any entry, so that they may as well be part of each.
  const conditions = rule.when.filter(isPeer);
  const entries = rule.from.map((entry) => [...entry, ...conditions]);
  const doubled = entries.flatMap((entry) => {
    const peers = entry.filter(isPeer);
    const [first] = peers;
    if (first === undefined || peers.every(({ anyOf }) => anyOf === undefined)) return [entry];
    const unknown: PeerClause = { attribute: 'peer', field: first.field, noneOf: PRESENT };
    return [entry, [...entry.filter((clause) => !isPeer(clause)), unknown]];
  });
  return { ...rule, from: doubled, when: rule.when.filter((clause) => !isPeer(clause)) };
}
