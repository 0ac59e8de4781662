/*
 * Writes the template of the chart with its ValidatingAdmissionPolicies. A template and not a file of values, because names,
 * images and groups are those of the release.
 */
import { stringify } from 'yaml';
import {
  BY_CONTROLLER,
  BY_GARBAGE_COLLECTOR,
  CHANGED_PODS,
  CONNECTIONS,
  CONTROLLER_CONFIG_MAPS,
  CONTROLLER_EVENTS,
  CONTROLLER_PODS,
  CONTROLLER_SECRETS,
  IS_BUNDLE,
  IS_OURS,
  type Named,
  NEW_PODS,
  NOT_BREAK_GLASS,
  NOT_CONTROLLER,
  POD_VARIABLES,
  type Validation,
} from './expressions.ts';

interface Rule {
  readonly group: string;
  readonly operations: readonly string[];
  readonly resources: readonly string[];
}

interface Policy {
  /** Suffix of its name. */
  readonly name: string;
  /** Shown as a comment. */
  readonly purpose: string;
  readonly rules: readonly Rule[];
  readonly matchConditions: readonly Named[];
  readonly variables?: readonly Named[];
  readonly validations: readonly Validation[];
}

/** Restricts an expression to one operation. */
function on(operation: string, validations: readonly Validation[]): readonly Validation[] {
  return validations.map(({ expression, message }) => ({ expression: `request.operation != "${operation}" || (${expression})`, message }));
}

const POLICIES: readonly Policy[] = [
  {
    name: 'bundles',
    purpose: 'Only the controller writes bundles.',
    rules: [{ group: '', operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['configmaps'] }],
    matchConditions: [IS_BUNDLE, NOT_CONTROLLER, NOT_BREAK_GLASS],
    validations: [BY_GARBAGE_COLLECTOR],
  },
  {
    name: 'controller-configmaps',
    purpose:
      'The controller writes only bundles, one annotation of pods, its Secrets and its events, so that its token is of little use to others.',
    rules: [{ group: '', operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['configmaps'] }],
    matchConditions: [BY_CONTROLLER],
    validations: [CONTROLLER_CONFIG_MAPS],
  },
  {
    name: 'controller-pods',
    purpose: 'See above.',
    rules: [{ group: '', operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['pods'] }],
    matchConditions: [BY_CONTROLLER],
    validations: [CONTROLLER_PODS],
  },
  {
    name: 'controller-secrets',
    purpose: 'See above.',
    rules: [{ group: '', operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['secrets'] }],
    matchConditions: [BY_CONTROLLER],
    validations: [CONTROLLER_SECRETS],
  },
  {
    name: 'controller-events',
    purpose: 'See above.',
    rules: [{ group: 'events.k8s.io', operations: ['CREATE', 'UPDATE'], resources: ['events'] }],
    matchConditions: [BY_CONTROLLER],
    validations: [CONTROLLER_EVENTS],
  },
  {
    name: 'agents',
    purpose: 'Agents are as injected, and stay so.',
    rules: [
      { group: '', operations: ['CREATE', 'UPDATE'], resources: ['pods'] },
      { group: '', operations: ['UPDATE'], resources: ['pods/ephemeralcontainers', 'pods/resize'] },
    ],
    matchConditions: [IS_OURS, NOT_CONTROLLER, NOT_BREAK_GLASS],
    variables: POD_VARIABLES,
    validations: [...on('CREATE', NEW_PODS), ...on('UPDATE', CHANGED_PODS)],
  },
  {
    name: 'connections',
    purpose: 'No shell in an agent.',
    rules: [{ group: '', operations: ['CONNECT'], resources: ['pods/exec', 'pods/attach'] }],
    matchConditions: [NOT_BREAK_GLASS],
    validations: [CONNECTIONS],
  },
];

const LABELS = '\n    {{- include "sallyport.labels" . | nindent 4 }}\n  {{- include "sallyport.annotations" (list . (dict)) }}';
const SELECTOR =
  '\n    {{- with .Values.admission.namespaceSelector }}\n    namespaceSelector:\n      {{- toYaml . | nindent 6 }}\n    {{- end }}';

function policyOf({ name, purpose, rules, matchConditions, variables = [], validations }: Policy): string {
  const spec = {
    failurePolicy: 'Fail',
    matchConstraints: {
      resourceRules: rules.map(({ group, operations, resources }) => ({ apiGroups: [group], apiVersions: ['v1'], operations, resources })),
    },
    matchConditions,
    ...(variables.length === 0 ? {} : { variables }),
    validations: validations.map((validation) => ({ ...validation, reason: 'Forbidden' })),
  };
  const text = stringify({ spec }, { lineWidth: 0, blockQuote: 'literal', defaultStringType: 'PLAIN' });
  return `---
# ${purpose}
${head('ValidatingAdmissionPolicy', name)}${text}---
${head('ValidatingAdmissionPolicyBinding', name)}spec:
  policyName: {{ include "sallyport.fullname" . }}-${name}
  validationActions: [Deny]
  matchResources:
    matchPolicy: Equivalent${SELECTOR}
`;
}

function head(kind: string, name: string): string {
  return `apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}
metadata:
  name: {{ include "sallyport.fullname" . }}-${name}
  labels:${LABELS}
`;
}

/** The text of `templates/admission-policies.yaml`. */
export function admissionPolicies(): string {
  const head = '{{- /* Written by scripts/gen-chart.ts from scripts/admission; change it there. */ -}}\n';
  return `${head}{{- if .Values.admission.enabled }}\n${POLICIES.map(policyOf).join('')}{{- end }}\n`;
}
