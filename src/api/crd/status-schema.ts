/*
 * The schema of `status`, the same for both kinds. It is not checked by us: the API server prunes nothing of it, so that an
 * istiod and this product may write their conditions side by side. Called by the CRD generator.
 */

/** A JSON schema as a CRD carries it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const generation = (description: string): JsonSchema => ({
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  description,
  'x-kubernetes-int-or-string': true,
});
const text = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', description });

/** `status` of a policy. */
export const statusSchema: JsonSchema = {
  type: 'object',
  description: 'What controllers found out about the policy. Written by them alone.',
  properties: {
    conditions: {
      type: 'array',
      description:
        'State of the policy, one entry per type: Accepted (it was read and is valid), Ready (it is published to every workload it selects).',
      items: {
        type: 'object',
        properties: {
          type: text('Name of the condition.'),
          status: text('True, False or Unknown.'),
          reason: text('One word for programs why the condition has this status.'),
          message: text('The same for people.'),
          observedGeneration: generation('Generation of the policy that this entry speaks of.'),
          lastProbeTime: time('When the condition was last checked.'),
          lastTransitionTime: time('When the status last changed.'),
        },
      },
    },
    observedGeneration: generation('Latest generation of the policy that was looked at.'),
    validationMessages: {
      type: 'array',
      description: "Messages of Istio's analysis of the policy, if an istiod runs here too.",
      items: {
        type: 'object',
        properties: {
          type: {
            type: 'object',
            description: 'What kind of message it is.',
            properties: { code: text('Stable code of the message.'), name: text('Name of the message.') },
          },
          documentationUrl: text('Where to read more.'),
          level: { type: 'string', enum: ['UNKNOWN', 'ERROR', 'WARNING', 'INFO'], description: 'How much the message weighs.' },
        },
      },
    },
  },
  'x-kubernetes-preserve-unknown-fields': true,
};
