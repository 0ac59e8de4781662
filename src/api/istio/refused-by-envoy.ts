/*
 * Values that Istio admits and Envoy refuses. Envoy then refuses the whole listener: a running sidecar keeps its former
 * configuration, a new one accepts no traffic. Sallyport refuses the policy.
 * @see envoy api: RouteMatch and RBAC protos, JwtProvider; validation rules in the comments of their fields
 */
import type { ErrorCode } from '../../errors.ts';
import type { AuthorizationRule, JwtRule, Operation, Policy, Source } from './resources.ts';
import type { ValidationFinding } from './validation-finding.ts';

/** Longest path template in characters, after Istio removed the braces of its operators. */
const MAX_TEMPLATE = 256;
/** Longest namespace in bytes: Envoy limits the size of a compiled regular expression. */
const MAX_NAMESPACE = 32_755;
const OPERATOR = /\{\*\*?\}/;
// oxlint-disable-next-line no-control-regex -- the characters that Envoy refuses in names and values of headers
const LINE_BREAK_OR_NUL = /[\0\r\n]/;
const HEADER_KEY = /^request\.headers\[([^]*)\]$/;
const CLAIM_KEY = 'request.auth.claims[';

const CONSEQUENCE = 'Envoy refuses the whole listener for it';

type Report = (code: ErrorCode, path: string, message: string) => void;

/** An error for every value of a valid policy because of which Envoy would refuse the workload's listener. */
export function refusedByEnvoy(policy: Policy): readonly ValidationFinding[] {
  const findings: ValidationFinding[] = [];
  const report: Report = (code, path, message) => {
    findings.push({ stage: 'envoy', code, severity: 'error', path, message: `${message}: ${CONSEQUENCE}` });
  };
  if (policy.kind === 'RequestAuthentication') {
    for (const [index, rule] of (policy.spec.jwtRules ?? []).entries()) checkJwtRule(rule, `spec.jwtRules[${index}]`, report);
  } else {
    for (const [index, rule] of (policy.spec.rules ?? []).entries()) checkRule(rule, `spec.rules[${index}]`, report);
  }
  return findings;
}

function checkJwtRule({ fromHeaders = [], outputPayloadToHeader = '' }: JwtRule, path: string, report: Report): void {
  for (const [index, { name, prefix = '' }] of fromHeaders.entries()) {
    checkCharacters(name, 'SP_JWT_RULE', `${path}.fromHeaders[${index}].name`, report);
    checkCharacters(prefix, 'SP_JWT_RULE', `${path}.fromHeaders[${index}].prefix`, report);
  }
  checkCharacters(outputPayloadToHeader, 'SP_JWT_RULE', `${path}.outputPayloadToHeader`, report);
}

function checkCharacters(text: string, code: ErrorCode, path: string, report: Report): void {
  if (LINE_BREAK_OR_NUL.test(text)) report(code, path, `${JSON.stringify(text)} contains a line break or NUL`);
}

function checkRule({ from = [], to = [], when = [] }: AuthorizationRule, path: string, report: Report): void {
  for (const [index, { source = {} }] of from.entries()) checkSource(source, `${path}.from[${index}].source`, report);
  for (const [index, { operation = {} }] of to.entries()) checkOperation(operation, `${path}.to[${index}].operation`, report);
  for (const [index, condition] of when.entries()) {
    const { key, values = [], notValues = [] } = condition;
    const at = `${path}.when[${index}]`;
    checkCharacters(HEADER_KEY.exec(key)?.[1] ?? '', 'SP_WHEN', `${at}.key`, report);
    if (key.startsWith(CLAIM_KEY) && hasEmptyClaim(key)) report('SP_WHEN', `${at}.key`, `${key} has an empty name`);
    if (key !== 'source.namespace') continue;
    checkNamespaces(values, `${at}.values`, report);
    checkNamespaces(notValues, `${at}.notValues`, report);
  }
}

/** Only names that are split at `][` can be empty: with another bracket inside, everything is one name. */
function hasEmptyClaim(key: string): boolean {
  const names = key.slice(CLAIM_KEY.length, -1).split('][');
  return names.includes('') && !names.some((name) => name.includes('[') || name.includes(']'));
}

function checkSource({ namespaces = [], notNamespaces = [] }: Source, path: string, report: Report): void {
  checkNamespaces(namespaces, `${path}.namespaces`, report);
  checkNamespaces(notNamespaces, `${path}.notNamespaces`, report);
}

function checkNamespaces(names: readonly string[], path: string, report: Report): void {
  for (const [index, name] of names.entries()) {
    if (Buffer.byteLength(name) > MAX_NAMESPACE)
      report('SP_VALUE', `${path}[${index}]`, `a namespace has ${Buffer.byteLength(name)} bytes`);
  }
}

function checkOperation({ paths = [], notPaths = [] }: Operation, path: string, report: Report): void {
  for (const [name, values] of [
    ['paths', paths],
    ['notPaths', notPaths],
  ] as const) {
    for (const [index, value] of values.entries()) {
      if (OPERATOR.test(value)) checkTemplate(value, `${path}.${name}[${index}]`, report);
    }
  }
}

function checkTemplate(value: string, path: string, report: Report): void {
  const { length } = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  if (length > MAX_TEMPLATE)
    report('SP_PATH', path, `a path template has ${length} characters, without braces, and at most ${MAX_TEMPLATE} are allowed`);
  // Envoy does not refuse it, it crashes.
  if (!value.startsWith('/') || value.startsWith('//') || value.endsWith('//')) {
    report('SP_PATH', path, `${value} does not begin with one slash, or ends with two`);
  }
}
