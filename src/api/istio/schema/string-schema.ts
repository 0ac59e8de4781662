/*
 * Schemas of strings with limits that count and report like the API server: characters instead of UTF-16 units, and only the
 * first violated limit. The limits are part of the generated CRD.
 */
import * as z from 'zod';

/** Limits of a string in characters; absent: no limit. */
export interface StringLimits {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
}

/** Parameter of a zod issue: the limit that is violated. */
export const BROKEN_LIMIT = 'brokenLimit';
/** Parameter of a zod issue: all limits of the string. */
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
  // A character is one or two UTF-16 units: only a string near the limit needs counting.
  if (text.length > max && (text.length > 2 * max || Array.from(text).length > max)) return 'max';
  if (text.length < min) return 'min';
  return pattern?.test(text) === false ? 'pattern' : undefined;
}
