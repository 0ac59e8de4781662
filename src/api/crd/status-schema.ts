/*
 * The schema of `status`, the same for both kinds. Unknown fields are preserved, so that an istiod and Sallyport can write
 * their conditions side by side.
 */

/** A JSON schema in the form that a CRD contains. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const generation = (description: string): JsonSchema => ({
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  description,
  'x-kubernetes-int-or-string': true,
});
const string = (description: string): JsonSchema => ({ type: 'string', description });
const time = (description: string): JsonSchema => ({ type: 'string', format: 'date-time', description });

/** Schema of the `status` of a policy. */
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
          type: string('Name of the condition.'),
          status: string('True, False or Unknown.'),
          reason: string('One word for programs why the condition has this status.'),
          message: string('The same for people.'),
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
            properties: { code: string('Stable code of the message.'), name: string('Name of the message.') },
          },
          documentationUrl: string('Where to read more.'),
          level: { type: 'string', enum: ['UNKNOWN', 'ERROR', 'WARNING', 'INFO'], description: 'How much the message weighs.' },
        },
      },
    },
  },
  'x-kubernetes-preserve-unknown-fields': true,
};
