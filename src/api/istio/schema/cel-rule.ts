/*
 * Defines each CEL rule once, as an expression for the API server and as a check in TypeScript, and attaches rules to a zod
 * schema.
 */
import type * as z from 'zod';

/** A rule on the value `self`. */
export interface CelRule<T> {
  /** CEL expression, evaluated by the API server. */
  readonly rule: string;
  /** The API server's message if the rule is violated. */
  readonly message: string;
  /** The same rule in TypeScript: whether `self` satisfies it; a string, CEL's error, if CEL cannot evaluate it, which also rejects. */
  readonly holds: (self: T) => boolean | string;
}

/** Parameter of a zod issue that marks it as a violated CEL rule. */
export const CEL_ISSUE = 'cel';

/** `schema` that also enforces `rules` and carries them as `x-kubernetes-validations`. Rules run only on values of the right type. */
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

/** Rule that at most one of `members` is set; an empty value counts as set. */
export function atMostOneOf<T extends object>(members: readonly (keyof T & string)[], message: string): CelRule<T> {
  const rule = `${members.map((member) => `(has(self.${member}) ? 1 : 0)`).join(' + ')} <= 1`;
  return { rule, message, holds: (self) => members.filter((member) => self[member] !== undefined).length <= 1 };
}
