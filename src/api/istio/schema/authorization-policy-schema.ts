/*
 * The spec of an AuthorizationPolicy as the API server accepts it: a zod schema with the CRD's descriptions and CEL rules.
 * Validates objects and generates the CRD.
 * @see istio.io/api security/v1beta1/authorization_policy.proto
 */
import * as z from 'zod';
import { atMostOneOf, type CelRule, withRules } from './cel-rule.ts';
import { ONE_TARGET_MEMBERS, ONE_TARGET_MESSAGE, selectorSchema, targetRefSchema, targetRefsSchema } from './selector-schema.ts';
import { stringWithin } from './string-schema.ts';

const FORMS = 'exact, "x*" (begins with), "*x" (ends with) or "*" (not empty)';

function strings(description: string): z.ZodOptional<z.ZodArray<z.ZodString>> {
  return z.array(z.string()).describe(description).optional();
}

function serviceAccounts(description: string): z.ZodOptional<z.ZodArray<z.ZodString>> {
  return z
    .array(stringWithin({ max: 320 }))
    .max(16)
    .describe(description)
    .optional();
}

const source = z.object({
  principals: strings(`Identities of the caller, TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, ${FORMS}. Need mutual TLS.`),
  notPrincipals: strings('Identities that the caller must not have. A caller without an identity passes.'),
  requestPrincipals: strings(`Identities from the verified token, ISSUER/SUBJECT, ${FORMS}. "*" means any verified token.`),
  notRequestPrincipals: strings(
    'Token identities that the request must not have. A request without a token passes; "*" here means: no token.',
  ),
  namespaces: strings('Namespaces of the caller. Need mutual TLS.'),
  notNamespaces: strings('Namespaces that the caller must not be in. A caller without an identity passes.'),
  serviceAccounts: serviceAccounts(
    'Service accounts of the caller, ACCOUNT (in the namespace of the policy) or NAMESPACE/ACCOUNT, no wildcards. Need mutual TLS.',
  ),
  notServiceAccounts: serviceAccounts('Service accounts that the caller must not have.'),
  trustDomains: strings(`Trust domains of the caller's identity, ${FORMS}. Need mutual TLS.`),
  notTrustDomains: strings('Trust domains that the caller must not belong to.'),
  ipBlocks: strings(
    'Addresses or CIDR blocks of the connection, such as 10.1.2.3 or 10.0.0.0/8. Behind a proxy this is the address of the proxy.',
  ),
  notIpBlocks: strings('Addresses or CIDR blocks that the connection must not come from.'),
  remoteIpBlocks: strings(
    'Addresses or CIDR blocks of the original client, taken from the last entry of X-Forwarded-For when there is one.',
  ),
  notRemoteIpBlocks: strings('Addresses or CIDR blocks that the original client must not have.'),
});

const FAMILIES = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const;
const SERVICE_ACCOUNTS_ALONE: CelRule<z.output<typeof source>> = {
  rule: `(has(self.serviceAccounts) || has(self.notServiceAccounts)) ? (${FAMILIES.map((name) => `!has(self.${name})`).join(' && ')}) : true`,
  message: 'Cannot set serviceAccounts with namespaces or principals',
  holds: (self) =>
    (self.serviceAccounts === undefined && self.notServiceAccounts === undefined) || FAMILIES.every((name) => self[name] === undefined),
};

const operation = z.object({
  hosts: strings(`Values of the Host header, without regard to case, ${FORMS}. A port that the client sends is part of the value.`),
  notHosts: strings('Host values that the request must not have.'),
  ports: strings('Ports of the container, as text such as "8080".'),
  notPorts: strings('Ports that must not be the destination.'),
  methods: strings('HTTP methods such as "GET"; case counts. For gRPC always "POST".'),
  notMethods: strings('HTTP methods that the request must not have.'),
  paths: strings(
    `Paths after normalisation and without the query, ${FORMS}, or a template: {*} stands for one segment, {**} for any number at the end.`,
  ),
  notPaths: strings('Paths that the request must not have.'),
});

const from = z.object({
  source: withRules(source, [SERVICE_ACCOUNTS_ALONE])
    .describe('Who the caller is. All fields that are given must hold; within one field one entry is enough.')
    .optional(),
});
const to = z.object({
  operation: operation
    .describe('What the request does. All fields that are given must hold; within one field one entry is enough.')
    .optional(),
});
const when = z.object({
  key: z.string().describe('Name of the attribute, such as request.headers[x-team] or request.auth.claims[groups].'),
  values: strings('Values of which the attribute must have one.'),
  notValues: strings('Values that the attribute must not have. A request without the attribute passes.'),
});

const rule = z
  .object({
    from: z
      .array(from.describe('One source.'))
      .max(512)
      .describe('Callers that the rule is about; one entry must match. Left out: any caller.')
      .optional(),
    to: z
      .array(to.describe('One operation.'))
      .describe('Requests that the rule is about; one entry must match. Left out: any request.')
      .optional(),
    when: z.array(when.describe('One condition.')).describe('Further conditions; all must hold. Left out: none.').optional(),
  })
  .describe('Matches a request when from, to and when all do. An empty rule matches every request.');

/** `spec` of an AuthorizationPolicy. */
export const authorizationPolicySpecSchema: z.ZodType = withRules(
  z.object({
    selector: selectorSchema.optional(),
    targetRef: targetRefSchema.optional(),
    targetRefs: targetRefsSchema.optional(),
    action: z
      .enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'])
      .describe(
        'What happens to a request that a rule matches. Left out: ALLOW. DENY wins over ALLOW; with any ALLOW policy, what none allows is denied.',
      )
      // Fills the column ACTION of kubectl, which has no default. Istio's CRD has none; the meaning is the same.
      .meta({ default: 'ALLOW' })
      .optional(),
    provider: z
      .object({ name: z.string().describe('Name of the authorizer among the extensionProviders of the configuration.').optional() })
      .describe('External authorizer to ask; only with action CUSTOM.')
      .optional(),
    rules: z
      .array(rule)
      .max(512)
      .describe('Rules of which one must match. Left out: none ever matches, so that an ALLOW policy denies everything.')
      .optional(),
  }),
  [atMostOneOf(ONE_TARGET_MEMBERS, ONE_TARGET_MESSAGE)],
).describe('Which requests to the selected pods are allowed, denied, audited or given to an external authorizer.');
