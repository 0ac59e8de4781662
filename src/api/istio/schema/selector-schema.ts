/*
 * Schemas of the members that both kinds share: selector and target references. They validate like the API server and carry
 * the descriptions of the CRDs.
 */
import * as z from 'zod';
import { withRules } from './cel-rule.ts';
import { stringWithin } from './string-schema.ts';

const labelValue = withRules(stringWithin({ max: 63 }), [
  { rule: '!self.contains("*")', message: 'wildcard not allowed in label value match', holds: (self) => !self.includes('*') },
]).describe('Value that the label must have, exactly.');

const MAX_LABELS = 4096;

/** `spec.selector`. */
export const selectorSchema: z.ZodType<{ matchLabels?: Record<string, string> | undefined }> = z
  .object({
    matchLabels: withRules(z.record(z.string(), labelValue), [
      {
        rule: 'self.all(key, !key.contains("*"))',
        message: 'wildcard not allowed in label key match',
        holds: (self) => Object.keys(self).every((key) => !key.includes('*')),
      },
      { rule: 'self.all(key, key.size() != 0)', message: 'key must not be empty', holds: (self) => !Object.hasOwn(self, '') },
    ])
      .superRefine((self, context) => {
        const count = Object.keys(self).length;
        if (count > MAX_LABELS) context.addIssue({ code: 'custom', message: `Too many: ${count}: must have at most ${MAX_LABELS} items` });
      })
      .meta({
        maxProperties: MAX_LABELS,
        description: 'Labels that a pod must all have, with exactly these values. Left out or empty: every pod in scope.',
      })
      .optional(),
  })
  .describe(
    'Which pods the policy applies to, by their labels. Left out: every pod of the namespace, or of the whole mesh when the policy is in the root namespace.',
  );

const GROUP = /^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const KIND = /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;

const targetReference = z.object({
  group: stringWithin({ max: 253, pattern: GROUP }).describe('API group of the target; empty for the core group.').optional(),
  kind: stringWithin({ min: 1, max: 63, pattern: KIND }).describe('Kind of the target, such as Gateway.'),
  name: stringWithin({ min: 1, max: 253 }).describe('Name of the target.'),
  namespace: withRules(z.string(), [
    { rule: 'self.size() == 0', message: 'cross namespace referencing is not currently supported', holds: (self) => self === '' },
  ])
    .describe('Must be left out or empty: targets are always in the namespace of the policy.')
    .optional(),
});

/** `spec.targetRef`. */
export const targetRefSchema: z.ZodType = targetReference.describe(
  'Older form of targetRefs with a single target. A policy with a target applies to gateways only, never to ordinary pods.',
);

/** `spec.targetRefs`. */
export const targetRefsSchema: z.ZodType = z
  .array(targetReference.describe('One target.'))
  .max(16)
  .describe(
    'Gateways (or other targets) that the policy applies to, instead of pods chosen by labels. The policy then never applies to ordinary pods.',
  );

/** Members of which at most one may be set. */
export const ONE_TARGET_MEMBERS: readonly ['selector', 'targetRef', 'targetRefs'] = ['selector', 'targetRef', 'targetRefs'];
/** The API server's message if more than one of {@link ONE_TARGET_MEMBERS} is set. */
export const ONE_TARGET_MESSAGE = 'only one of targetRefs or selector can be set';
