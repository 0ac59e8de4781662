/*
 * Istio's checks of the values in an AuthorizationPolicy: addresses, ports, paths, service accounts, trust domains and
 * attribute keys. Each check takes a list and returns its faults. `name` is the field or key as Istio prints it.
 * @see istio pkg/config/security/security.go
 */
import { parseGoAddress, parseGoPrefix } from '../go/netip.ts';
import { goQuote } from '../go/quote.ts';
import { admissionTextOf, errorBlock, type FindingText } from './validation-finding.ts';

const MAX_SERVICE_ACCOUNTS = 16;
const MAX_SERVICE_ACCOUNT_BYTES = 320;
const MAX_PORT = 65_535;
const TEMPLATE_LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/;

/** One fault of a list of values. */
export interface ValueFault extends FindingText {
  /** Index of the value; absent: the list as a whole. */
  readonly index?: number;
}

/** One fault per invalid address or CIDR block. */
export function checkAddresses(values: readonly string[]): readonly ValueFault[] {
  return each(values, (value) => {
    if (!value.includes('/')) return parseGoAddress(value) === undefined ? undefined : `bad IP address (${value})`;
    const error = parseGoPrefix(value);
    if (error === undefined) return undefined;
    return { message: `bad CIDR range (${value}): ${reasonOf(error)}`, admissionMessage: `bad CIDR range (${value}): ${error}` };
  });
}

/** Go's reason without the function names and quoted arguments in front of it. */
function reasonOf(goError: string): string {
  return goError.replace(/^(?:(?:netip\.ParsePrefix|ParseAddr)\("(?:[^"\\]|\\.)*"\): )+/, '');
}

/** One fault per invalid port. */
export function checkPorts(values: readonly string[]): readonly ValueFault[] {
  return each(values, (value) => {
    const error = goPortError(value);
    if (error === undefined) return undefined;
    return {
      message: `bad port (${value}): expected a number from 0 to ${MAX_PORT}`,
      admissionMessage: `bad port (${value}): ${error}`,
    };
  });
}

/** Go checks the range of the leading digits before it looks at what follows them. */
function goPortError(value: string): string | undefined {
  const digits = /^\d*/.exec(value)?.[0] ?? '';
  const fault = Number(digits) > 0xffff_ffff ? 'value out of range' : digits === '' || digits !== value ? 'invalid syntax' : undefined;
  if (fault !== undefined) return `strconv.ParseUint: parsing ${goQuote(value)}: ${fault}`;
  return Number(value) > MAX_PORT ? '<nil>' : undefined;
}

/** At most one fault: the list contains an empty string. */
export function checkNotEmpty(name: string, values: readonly string[]): readonly ValueFault[] {
  return first(values, (value) => (value === '' ? `empty value not allowed, found in ${name}` : undefined));
}

/** At most one fault, about the first invalid value or the number of values. */
export function checkServiceAccounts(name: string, values: readonly string[]): readonly ValueFault[] {
  if (values.length > MAX_SERVICE_ACCOUNTS) return [{ message: `may not have more than ${MAX_SERVICE_ACCOUNTS} values` }];
  return first(values, (value) => {
    if (value === '') return `empty value not allowed, found in ${name}`;
    if (value.includes('*')) return `wildcard not allowed, found in ${name}`;
    const quoted = goQuote(value);
    const format = "expected format 'serviceAccount' or 'namespace/serviceAccount', found";
    const parts = value.split('/');
    if (parts.length > 2) return `${format} ${quoted} in ${name}`;
    if (Buffer.byteLength(value) > MAX_SERVICE_ACCOUNT_BYTES) return `value cannot exceed 320 characters, found ${quoted} in ${name}`;
    if (parts.length === 2 && parts[0] === '') return `${format} empty namespace ${quoted} in ${name}`;
    return parts.length === 2 && parts[1] === '' ? `${format} empty serviceAccount ${quoted} in ${name}` : undefined;
  });
}

/** At most one fault, about the first invalid value. @param isKey true for a `when` condition, where Istio accepts a slash */
export function checkTrustDomains(name: string, values: readonly string[], isKey: boolean): readonly ValueFault[] {
  const checks = [
    checkNotEmpty(name, values),
    first(values, (value) => {
      const stars = value.split('*').length - 1;
      if (stars > 1) return `at most one wildcard is allowed, found in ${name}: ${goQuote(value)}`;
      const isInside = stars === 1 && !value.startsWith('*') && !value.endsWith('*');
      return isInside ? `wildcard is only allowed at the start or end, found in ${name}: ${goQuote(value)}` : undefined;
    }),
    isKey
      ? []
      : first(values, (value) =>
          value.includes('/') ? `trust domain must not contain '/', found in ${name}: ${goQuote(value)}` : undefined,
        ),
  ];
  return checks.find((faults) => faults.length > 0) ?? [];
}

/** At most one fault, about the first invalid path. */
export function checkPaths(name: string, values: readonly string[]): readonly ValueFault[] {
  return first(values, (value) => pathFault(name, value));
}

/** The fault of the values of one `when` condition, or of its key. */
export function checkCondition(key: string, values: readonly string[]): FindingText | undefined {
  const [empty] = checkNotEmpty(key, values);
  if (empty !== undefined) return empty;
  switch (key) {
    case 'source.ip':
    case 'remote.ip':
    case 'destination.ip':
      return blockOf(checkAddresses(values));
    case 'destination.port':
      return blockOf(checkPorts(values));
    case 'source.serviceAccount':
      return checkServiceAccounts(key, values)[0];
    case 'source.trustDomain':
      return checkTrustDomains(key, values, true)[0];
    default:
      return asText(checkKey(key));
  }
}

const PLAIN_KEYS = new Set([
  'source.namespace',
  'source.principal',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'connection.sni',
]);
const BRACKET_KEYS = ['request.headers', 'request.auth.claims', 'experimental.envoy.filters.'] as const;

function checkKey(key: string): string | undefined {
  if (PLAIN_KEYS.has(key)) return undefined;
  if (BRACKET_KEYS.some((prefix) => key.startsWith(prefix))) {
    const bracket = key.indexOf('[');
    const isFormed = key.endsWith(']') && bracket > 0 && bracket < key.length - 2;
    return isFormed ? undefined : `bad key (${key}): should have format a[b]`;
  }
  if (key === 'destination.namespace') return `attribute ${key} is replaced by the metadata.namespace`;
  if (key.startsWith('destination.labels')) return `attribute ${key} is replaced by the workload selector`;
  if (key === 'destination.name' || key === 'destination.user') return `deprecated attribute ${key}: only supported in v1alpha1`;
  return `unknown attribute: ${key}`;
}

function pathFault(name: string, value: string): string | undefined {
  const path = trimSlashes(value);
  const isTemplate = value.includes('{*}') || value.includes('{**}');
  const refused = `invalid or unsupported path ${path}, found in ${name}.`;
  let sawRest = false;
  for (const segment of path.split('/')) {
    if (segment === '{*}' || segment === '{**}') {
      if (sawRest) return `${refused} {**} is not the last operator`;
      sawRest = segment === '{**}';
    } else if (/[{}]/.test(segment)) {
      return `${refused} Contains '{' or '}' beyond a supported path template`;
    } else if (isTemplate && !TEMPLATE_LITERAL.test(segment)) {
      return `${refused} Contains segment ${segment} with invalid string literal`;
    }
  }
  return undefined;
}

/** A loop, because a regular expression would take quadratic time on a path of many slashes. */
function trimSlashes(path: string): string {
  let start = 0;
  let end = path.length;
  while (start < end && path[start] === '/') start += 1;
  while (end > start && path[end - 1] === '/') end -= 1;
  return path.slice(start, end);
}

function blockOf(faults: readonly ValueFault[]): FindingText | undefined {
  if (faults.length === 0) return undefined;
  return { message: faults.map(({ message }) => message).join('; '), admissionMessage: errorBlock(faults.map(admissionTextOf)) };
}

type ValueCheck = (value: string) => string | FindingText | undefined;

function asText(text: string | FindingText | undefined): FindingText | undefined {
  return typeof text === 'string' ? { message: text } : text;
}

function each(values: readonly string[], check: ValueCheck): readonly ValueFault[] {
  return values.flatMap((value, index) => {
    const text = asText(check(value));
    return text === undefined ? [] : [{ ...text, index }];
  });
}

function first(values: readonly string[], check: ValueCheck): readonly ValueFault[] {
  return each(values, check).slice(0, 1);
}
