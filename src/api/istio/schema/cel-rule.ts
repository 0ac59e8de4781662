/*
 * One CEL rule written down once: as text for the API server and as a check of our own. In: a zod schema and its rules. Out:
 * the schema that enforces them and carries them into the CRD. Called by the schemas of this folder.
 */
import type * as z from 'zod';

/** A rule on the value that `self` stands for. */
export interface CelRule<T> {
  /** CEL expression, evaluated by the API server. */
  readonly rule: string;
  /** What the API server answers when the rule is broken. */
  readonly message: string;
  /** The same rule for us: true when `self` keeps it; text when CEL cannot evaluate it, which refuses as well. */
  readonly holds: (self: T) => boolean | string;
}

/** Marks an issue of zod as a broken CEL rule. */
export const CEL_ISSUE = 'cel';

/** `schema` with `rules` enforced, carrying them as `x-kubernetes-validations`. Rules run only on values of the right shape. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly CelRule<z.output<S>>[]): S {
  const checked = schema.superRefine((self, context) => {
    for (const { message, holds } of rules) {
      const result = holds(self as z.output<S>);
      if (result === true) continue;
      const text = result === false ? message : `${result} evaluating rule: ${message}`;
      context.addIssue({ code: 'custom', message: text, params: { [CEL_ISSUE]: true, isUnevaluated: result !== false } });
    }
  }) as S;
  return checked.meta({ 'x-kubernetes-validations': rules.map(({ rule, message }) => ({ rule, message })) }) as S;
}

/** At most one of `members` may be there; an empty value counts as there. */
export function atMostOneOf<T extends object>(members: readonly (keyof T & string)[], message: string): CelRule<T> {
  const rule = `${members.map((member) => `(has(self.${member}) ? 1 : 0)`).join(' + ')} <= 1`;
  return { rule, message, holds: (self) => members.filter((member) => self[member] !== undefined).length <= 1 };
}
