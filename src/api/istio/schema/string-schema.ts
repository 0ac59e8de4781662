/*
 * Schemas of strings with limits, counted and told as the API server does: characters, not UTF-16 units, and only the first
 * limit that is broken. In: limits. Out: a zod schema that carries them into the CRD. Called by the schemas of this folder.
 */
import * as z from 'zod';

/** Limits of a string; absent: none. */
export interface StringLimits {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
}

/** Names the parameters of a zod issue that say which limit is broken, and what the limits are. */
export const BROKEN_LIMIT = 'brokenLimit';
export const LIMITS = 'limits';

/** A string within `limits`. */
export function stringWithin(limits: StringLimits): z.ZodString {
  const { min, max, pattern } = limits;
  const schema = z.string().superRefine((text, context) => {
    const broken = brokenLimit(text, limits);
    if (broken !== undefined) context.addIssue({ code: 'custom', message: '', params: { [BROKEN_LIMIT]: broken, [LIMITS]: limits } });
  });
  return schema.meta({
    ...(min === undefined ? {} : { minLength: min }),
    ...(max === undefined ? {} : { maxLength: max }),
    ...(pattern === undefined ? {} : { pattern: pattern.source }),
  });
}

function brokenLimit(text: string, { min = 0, max = Number.POSITIVE_INFINITY, pattern }: StringLimits): keyof StringLimits | undefined {
  // A character is one or two units: only a text near the limit has to be counted.
  if (text.length > max && (text.length > 2 * max || Array.from(text).length > max)) return 'max';
  if (text.length < min) return 'min';
  return pattern?.test(text) === false ? 'pattern' : undefined;
}
