/*
 * The webhook stage of an AuthorizationPolicy: adds Istio's errors and warnings about a decoded spec to a report, in Istio's
 * order. admission-error adds the prefix `invalid policy NAME.NAMESPACE: `.
 * @see istio pkg/config/validation: ValidateAuthorizationPolicy
 */
import type { ErrorCode } from '../../errors.ts';
import {
  checkAddresses,
  checkCondition,
  checkNotEmpty,
  checkPaths,
  checkPorts,
  checkServiceAccounts,
  checkTrustDomains,
  type ValueFault,
} from './check-values.ts';
import type { DecodedAuthorizationPolicySpec, DecodedCondition, DecodedRule } from './decode-policy.ts';
import type { Operation, Source } from './resources.ts';
import { validateTargets } from './validate-selector.ts';
import { type WebhookReport, webhookError, webhookWarning } from './validation-finding.ts';

const TCP_WARNING =
  'configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes in a DENY rule; it is recommended to explicitly specify the port';
/** Source fields that depend on the peer certificate or the token, which ext_authz runs before. */
const NOT_WITH_CUSTOM: readonly (keyof Source)[] = [
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
];
const KEYS_NOT_WITH_CUSTOM = new Set(['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal']);
const IDENTITY_FIELDS: readonly (keyof Source)[] = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'];
const TCP_FIELDS: readonly (keyof Source)[] = [
  ...IDENTITY_FIELDS,
  'ipBlocks',
  'notIpBlocks',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'serviceAccounts',
  'notServiceAccounts',
];

type ListCheck = (name: string, values: readonly string[]) => readonly ValueFault[];

const addresses: ListCheck = (_name, values) => checkAddresses(values);
const ports: ListCheck = (_name, values) => checkPorts(values);
const trustDomains: ListCheck = (name, values) => checkTrustDomains(name, values, false);
/** In Istio's order, which determines the order of the errors. */
const SOURCE_CHECKS: readonly (readonly [ListCheck, readonly (keyof Source)[]])[] = [
  [addresses, ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks']],
  [checkNotEmpty, ['principals', 'requestPrincipals', 'namespaces']],
  [checkServiceAccounts, ['serviceAccounts']],
  [trustDomains, ['trustDomains']],
  [checkNotEmpty, ['ipBlocks', 'remoteIpBlocks', 'notPrincipals', 'notRequestPrincipals', 'notNamespaces']],
  [checkServiceAccounts, ['notServiceAccounts']],
  [trustDomains, ['notTrustDomains']],
  [checkNotEmpty, ['notIpBlocks', 'notRemoteIpBlocks']],
];
const OPERATION_CHECKS: readonly (readonly [ListCheck, readonly (keyof Operation)[]])[] = [
  [ports, ['ports', 'notPorts']],
  [checkNotEmpty, ['ports', 'methods', 'paths', 'hosts', 'notPorts', 'notMethods', 'notPaths', 'notHosts']],
  [checkPaths, ['paths', 'notPaths']],
];

/** Adds the findings about a decoded spec to `report`. */
export function validateAuthorizationPolicySpec(spec: DecodedAuthorizationPolicySpec, report: WebhookReport): void {
  validateTargets(spec, report);
  validateAction(spec, report);
  if (spec.action === 'CUSTOM') for (const [index, rule] of (spec.rules ?? []).entries()) validateCustomRule(rule, index, report);
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    validateFrom(rule, index, report);
    validateTo(rule, index, report);
    for (const [position, condition] of (rule.when ?? []).entries()) {
      validateCondition(condition, `spec.rules[${index}].when[${position}]`, report);
    }
    if (spec.action === 'DENY' && deniesAllTcp(rule)) webhookWarning(report, 'SP_POLICY', `spec.rules[${index}]`, TCP_WARNING);
  }
}

function validateAction(spec: DecodedAuthorizationPolicySpec, report: WebhookReport): void {
  const action = spec.action ?? 'ALLOW';
  if (spec.provider !== undefined && action !== 'CUSTOM') {
    webhookError(report, 'SP_PROVIDER', 'spec.provider', `\`provider\` must not be with non CUSTOM action, found ${action}`);
  }
  if (spec.rules === undefined && (action === 'CUSTOM' || action === 'DENY')) {
    const message = `${action} action without \`rules\` is meaningless as it will never be triggered, add an empty rule \`{}\` if you want it be triggered for every request`;
    webhookError(report, 'SP_POLICY', 'spec.rules', message);
  } else if (action === 'CUSTOM' && (spec.provider?.name ?? '') === '') {
    webhookError(report, 'SP_PROVIDER', 'spec.provider.name', '`provider.name` must not be empty');
  }
}

function validateCustomRule(rule: DecodedRule, index: number, report: WebhookReport): void {
  const unsupported = (path: string, what: string): void =>
    webhookError(report, 'SP_POLICY', `spec.rules[${index}]${path}`, `${what} is currently not supported with CUSTOM action`);
  for (const [position, { source }] of (rule.from ?? []).entries()) {
    for (const field of NOT_WITH_CUSTOM) {
      if (source?.[field] !== undefined) unsupported(`.from[${position}].source.${field}`, `From.${goName(field)}`);
    }
  }
  for (const [position, { key = '' }] of (rule.when ?? []).entries()) {
    if (KEYS_NOT_WITH_CUSTOM.has(key) || key.startsWith('request.auth.')) unsupported(`.when[${position}].key`, key);
  }
}

function validateFrom(rule: DecodedRule, index: number, report: WebhookReport): void {
  for (const [position, { source }] of (rule.from ?? []).entries()) {
    const path = `spec.rules[${index}].from[${position}]`;
    if (source === undefined) {
      webhookError(report, 'SP_POLICY', path, `\`from.source\` must not be nil, found at rule ${index}`);
      continue;
    }
    const hasAccounts = source.serviceAccounts !== undefined || source.notServiceAccounts !== undefined;
    if (hasAccounts && IDENTITY_FIELDS.some((field) => source[field] !== undefined)) {
      const message = `cannot set serviceAccounts with namespaces or principals, found at rule ${index}`;
      webhookError(report, 'SP_POLICY', `${path}.source`, message);
    }
    if (Object.keys(source).length === 0) {
      webhookError(report, 'SP_POLICY', `${path}.source`, `\`from.source\` must not be empty, found at rule ${index}`);
    }
    runChecks(source, SOURCE_CHECKS, `${path}.source`, report);
  }
}

function validateTo(rule: DecodedRule, index: number, report: WebhookReport): void {
  for (const [position, { operation }] of (rule.to ?? []).entries()) {
    const path = `spec.rules[${index}].to[${position}]`;
    if (operation === undefined) {
      webhookError(report, 'SP_POLICY', path, `\`to.operation\` must not be nil, found at rule ${index}`);
      continue;
    }
    if (Object.keys(operation).length === 0) {
      webhookError(report, 'SP_POLICY', `${path}.operation`, `\`to.operation\` must not be empty, found at rule ${index}`);
    }
    runChecks(operation, OPERATION_CHECKS, `${path}.operation`, report);
  }
}

function runChecks<T extends object>(
  value: T,
  checks: readonly (readonly [ListCheck, readonly (keyof T & string)[]])[],
  path: string,
  report: WebhookReport,
): void {
  for (const [check, fields] of checks) {
    const code: ErrorCode = check === checkPaths ? 'SP_PATH' : 'SP_VALUE';
    for (const field of fields) {
      const values = (value[field] ?? []) as readonly string[];
      for (const { index, ...text } of check(goName(field), values)) {
        webhookError(report, code, `${path}.${field}${index === undefined ? '' : `[${index}]`}`, text);
      }
    }
  }
}

function validateCondition(condition: DecodedCondition, path: string, report: WebhookReport): void {
  const { key = '', values = [], notValues = [] } = condition;
  if (key === '') {
    webhookError(report, 'SP_WHEN', `${path}.key`, '`key` must not be empty');
    return;
  }
  if (values.length === 0 && notValues.length === 0) {
    webhookError(report, 'SP_WHEN', path, `at least one of \`values\` or \`notValues\` must be set for key ${key}`);
    return;
  }
  for (const [name, field, list] of [
    ['value', 'values', values],
    ['notValue', 'notValues', notValues],
  ] as const) {
    const error = checkCondition(key, list);
    if (error === undefined) continue;
    const prefix = `invalid \`${name}\` for \`key\` ${key}: `;
    webhookError(report, 'SP_WHEN', `${path}.${field}`, {
      message: `${prefix}${error.message}`,
      ...(error.admissionMessage === undefined ? {} : { admissionMessage: `${prefix}${error.admissionMessage}` }),
    });
  }
}

/** Whether a DENY rule uses only HTTP attributes: on TCP it loses them and then denies every connection. Like Istio, ignores `when`. */
function deniesAllTcp(rule: DecodedRule): boolean {
  const sources = (rule.from ?? []).flatMap(({ source }) => source ?? []);
  const operations = (rule.to ?? []).flatMap(({ operation }) => operation ?? []);
  if (operations.length > 0) return operations.every((operation) => operation.ports === undefined && operation.notPorts === undefined);
  return sources.length > 0 && sources.every((source) => TCP_FIELDS.every((field) => source[field] === undefined));
}

function goName(field: string): string {
  return `${field.slice(0, 1).toUpperCase()}${field.slice(1)}`;
}
