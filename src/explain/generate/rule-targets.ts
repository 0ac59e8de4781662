/*
 * What generated requests have to reach: the rules and JWT rules of both programs, those that differ apart from those that both have.
 */
import type { JwtProvider, Program, Rule } from '../../policy/model/program.ts';

/** How a rule takes part in the decision. */
export type RuleRole = 'custom' | 'audit' | 'deny' | 'allow' | 'dryRun';

/** A rule with its part in the decision. */
export interface RuleOfRole {
  readonly rule: Rule;
  readonly role: RuleRole;
  /** Name of the external authorizer of a CUSTOM rule. */
  readonly step?: string;
}

/** A rule of one program. */
export interface RuleTarget extends RuleOfRole {
  readonly program: Program;
  /** Whether the other program does not have this rule. */
  readonly differs: boolean;
}

/** A JWT rule of one program. */
export interface ProviderTarget {
  readonly provider: JwtProvider;
  readonly program: Program;
  readonly differs: boolean;
}

/** Everything to reach. A rule of both programs is there once. */
export interface Targets {
  readonly rules: readonly RuleTarget[];
  readonly providers: readonly ProviderTarget[];
}

/** The targets in two programs, rules that differ alternating between both. */
export function targetsOf([before, after]: readonly [Program, Program]): Targets {
  return {
    rules: merge(rolesOf(before), rolesOf(after), [before, after], ({ rule: { from, to, when }, role, step }) =>
      JSON.stringify([role, step, from, to, when]),
    ),
    providers: merge(
      before.providers.map((provider) => ({ provider })),
      after.providers.map((provider) => ({ provider })),
      [before, after],
      ({ provider: { name: _name, source: _source, keySet: _keySet, ...rest } }) => JSON.stringify(rest),
    ),
  };
}

/** Every HTTP rule of a program with its role. */
export function rolesOf({ http }: Program): readonly RuleOfRole[] {
  const { custom, audit, deny, allow, dryRunDeny, dryRunAllow } = http;
  const withRole = (rules: readonly Rule[], role: RuleRole): readonly RuleOfRole[] => rules.map((rule) => ({ rule, role }));
  return [
    ...custom.flatMap(({ name, rules }) => rules.map((rule) => ({ rule, role: 'custom' as const, step: name }))),
    ...withRole(audit.rules, 'audit'),
    ...withRole(deny.rules, 'deny'),
    ...withRole(allow.rules, 'allow'),
    ...withRole(dryRunDeny.rules, 'dryRun'),
    ...withRole(dryRunAllow.rules, 'dryRun'),
  ];
}

function merge<T extends object>(
  mine: readonly T[],
  others: readonly T[],
  [before, after]: readonly [Program, Program],
  signatureOf: (item: T) => string,
): readonly (T & { readonly program: Program; readonly differs: boolean })[] {
  const [known, otherKnown] = [new Set(mine.map(signatureOf)), new Set(others.map(signatureOf))];
  const changed = [
    mine.filter((item) => !otherKnown.has(signatureOf(item))),
    others.filter((item) => !known.has(signatureOf(item))),
  ] as const;
  const common = mine.filter((item) => otherKnown.has(signatureOf(item)));
  const alternating = Array.from({ length: Math.max(changed[0].length, changed[1].length) }, (_, at) => [
    ...(changed[0][at] === undefined ? [] : [{ ...changed[0][at], program: before, differs: true }]),
    ...(changed[1][at] === undefined ? [] : [{ ...changed[1][at], program: after, differs: true }]),
  ]).flat();
  return [...alternating, ...common.map((item) => ({ ...item, program: before, differs: false }))];
}
