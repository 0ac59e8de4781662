/*
 * The two CustomResourceDefinitions, generated from the zod schemas that also validate policies in this program, so that the
 * API server and Sallyport cannot disagree.
 */
import { stringify } from 'yaml';
import * as z from 'zod';
import { authorizationPolicySpecSchema } from '../istio/schema/authorization-policy-schema.ts';
import { requestAuthenticationSpecSchema } from '../istio/schema/request-authentication-schema.ts';
import { AUTHORIZATION_POLICY_PLURAL, REQUEST_AUTHENTICATION_PLURAL, SECURITY_GROUP, SECURITY_VERSIONS } from '../kube/names.ts';
import { type JsonSchema, statusSchema } from './status-schema.ts';

/** A file in `crds/`: its name and content. */
export interface CrdFile {
  readonly name: string;
  readonly text: string;
}

interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly columns: readonly JsonSchema[];
}

const AGE: JsonSchema = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the policy was created.',
};
const READY: JsonSchema = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'Whether the policy is published to every workload it selects.',
};
const ACTION: JsonSchema = {
  name: 'Action',
  type: 'string',
  jsonPath: '.spec.action',
  description: 'What happens to a matching request; empty means ALLOW.',
};

const KINDS: readonly Kind[] = [
  {
    kind: 'RequestAuthentication',
    plural: REQUEST_AUTHENTICATION_PLURAL,
    shortName: 'ra',
    description: 'Specifies which JSON Web Tokens are valid for requests to the selected pods.',
    spec: requestAuthenticationSpecSchema,
    columns: [READY, AGE],
  },
  {
    kind: 'AuthorizationPolicy',
    plural: AUTHORIZATION_POLICY_PLURAL,
    shortName: 'ap',
    description: 'Specifies which requests to the selected pods are allowed.',
    spec: authorizationPolicySpecSchema,
    columns: [ACTION, READY, AGE],
  },
];

const HEADER = '# Generated from src/api by `node scripts/gen-crds.ts`. Do not edit.\n';

/** The generated files of `crds/`. */
export function crdFiles(): readonly CrdFile[] {
  return KINDS.map((kind) => ({
    name: `${kind.plural}.${SECURITY_GROUP}.yaml`,
    text: HEADER + stringify(definitionOf(kind), { lineWidth: 120, aliasDuplicateObjects: false }),
  }));
}

function definitionOf(kind: Kind): JsonSchema {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${SECURITY_GROUP}`, labels: { 'app.kubernetes.io/part-of': 'sallyport' } },
    spec: {
      group: SECURITY_GROUP,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames: [kind.shortName],
        categories: ['istio-io', 'security-istio-io'],
      },
      scope: 'Namespaced',
      versions: SECURITY_VERSIONS.map((name) => ({
        name,
        served: true,
        storage: name === SECURITY_VERSIONS[0],
        additionalPrinterColumns: kind.columns,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: kind.description,
            properties: { spec: z.toJSONSchema(kind.spec, { target: 'openapi-3.0', io: 'input' }), status: statusSchema },
          },
        },
      })),
    },
  };
}
