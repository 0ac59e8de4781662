/*
 * Compares Sallyport's admission of an object with Istio's and returns the differences with their kind. Defines which texts count
 * as equal.
 */
import { denialMessage } from '../../../src/api/istio/admission-error.ts';
import { validatePolicy } from '../../../src/api/istio/validate-policy.ts';
import { admissionTextOf, type ValidationFinding, type ValidationStage } from '../../../src/api/istio/validation-finding.ts';
import type { Admission, Verdict } from './program.ts';

/** `stage`: only one of them rejects at this stage. `text`: both reject with different texts. `go-text`: the text is a Go library's. */
export type DifferenceKind = 'stage' | 'text' | 'go-text' | 'warning';

export interface Difference {
  readonly kind: DifferenceKind;
  readonly about: 'crd' | 'raw' | 'pruned';
  readonly ours: string;
  readonly theirs: string;
}

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

/**
 * Reasons from Go's libraries whose text may differ: errors of the JSON parser, of addresses and of URLs. The rejected value, the
 * stage and the check must be equal nevertheless.
 */
const GO_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/(bad CIDR range \().*$/gm, '$1…'],
  [/(failed to unmarshal JWK set: ).*$/gm, '$1…'],
  [/(\* |^configuration is invalid: )parse "[^\n]*$/gm, '$1parse …'],
];

/** All differences about one object. */
export function compareAdmission(object: Named, theirs: Admission): readonly Difference[] {
  if (theirs.unreadable !== undefined) return compareUnreadable(validatePolicy(object), theirs.unreadable);
  return [
    ...compareCrd(validatePolicy(object), theirs.crd ?? []),
    ...(hasNamelessAction(object)
      ? []
      : [...compareVerdict('raw', object, theirs.raw), ...compareVerdict('pruned', theirs.stored as Named, theirs.pruned)]),
  ];
}

/**
 * Istio's decoder accepts any number as an action, although other numbers have no meaning; Sallyport accepts only those of
 * known actions. The CRD rejects all numbers.
 */
function hasNamelessAction(object: Named): boolean {
  const action = (object as { readonly spec?: { readonly action?: unknown } | null }).spec?.action;
  return typeof action === 'number' && ![0, 1, 2, 3].includes(action);
}

/** Compares an object that the API server cannot decode; it reports any one of several faults. */
function compareUnreadable(findings: readonly ValidationFinding[], theirs: string): readonly Difference[] {
  const errors = findings.filter(({ stage, severity }) => stage === 'crd' && severity === 'error');
  if (errors.length === 0) return difference('stage', 'crd', '', theirs);
  return errors.some((finding) => admissionTextOf(finding) === theirs)
    ? []
    : difference('text', 'crd', errors.map(admissionTextOf).join('\n'), theirs);
}

function compareCrd(findings: readonly ValidationFinding[], theirs: readonly string[]): readonly Difference[] {
  const compared = theirs.filter(isCompared);
  const errors = findings.filter(({ stage, severity }) => stage === 'crd' && severity === 'error').filter(isComparable(compared));
  const ours = errors
    .filter(({ code }) => code !== 'SP_CEL' || !hasBlocking(theirs))
    .map((finding) => `${finding.path}: ${admissionTextOf(finding)}`)
    .sort();
  const kind = errors.length > 0 === compared.length > 0 ? 'text' : 'stage';
  return difference(kind, 'crd', ours.join('\n'), compared.filter(isOutsideLongLists).map(inBrackets).map(likeOurs).sort().join('\n'));
}

/**
 * Whether a message of the API server is compared. Ignored are unsupported enum values of the wrong type, and messages about a
 * label named `__proto__`, which no pod can have.
 */
function isCompared(text: string): boolean {
  return !/^spec\.action: Unsupported value: [^"]/.test(text) && !/^spec\.selector\.matchLabels[.[]__proto__/.test(text);
}

/** Sallyport does not validate the elements of an array that is too long, and no object of a version that is not served. */
function isOutsideLongLists(text: string, _index: number, all: readonly string[]): boolean {
  const lists = all.flatMap((other) => /^(.*): Too many: /.exec(other)?.[1] ?? []);
  return !lists.some((list) => text.startsWith(`${list}[`));
}

function isComparable(theirs: readonly string[]): (finding: ValidationFinding) => boolean {
  const isServed = !theirs.some((text) => text.startsWith('apiVersion: '));
  return ({ path }) => isServed || path === 'apiVersion';
}

/** The API server reports a label as a member (schema) or as an element (CEL rule); Sallyport always as an element. */
function inBrackets(text: string): string {
  return text.replaceAll(/matchLabels\.(.*?)(: | in body )/gs, 'matchLabels[$1]$2');
}

/** Adds the list of served versions, which is not known without an API server. */
function likeOurs(text: string): string {
  return text.replace(/^(apiVersion: no kind .*)$/s, '$1; served are security.istio.io/v1, security.istio.io/v1beta1');
}

/** The API server does not evaluate CEL rules if there is one of these errors; Sallyport does, to report all errors together. */
function hasBlocking(texts: readonly string[]): boolean {
  return texts.some((text) => /: (Unsupported value|Required value|Too long|Too many|Invalid value: .* must be of type )/s.test(text));
}

function compareVerdict(about: 'raw' | 'pruned', object: Named, theirs: Verdict): readonly Difference[] {
  const findings = validatePolicy(object);
  const { kind, metadata } = object;
  const denial = denialMessage(kind, metadata.namespace, metadata.name, findings) ?? '';
  const message = theirs.broken === undefined ? (theirs.message ?? '') : `broken: ${theirs.broken}`;
  if (isOneOfSeveral(denial, message)) return [];
  if (stageOf(denial) !== stageOf(message)) return difference('stage', about, denial, message);
  const words = difference(sameButGo(denial, message) ? 'go-text' : 'text', about, inOrder(denial), inOrder(message));
  if (!theirs.allowed) return words;
  const warnings = findings.filter(({ stage, severity }) => stage === 'webhook' && severity === 'warning').map(admissionTextOf);
  return difference('warning', about, warnings.join('\n'), (theirs.warnings ?? []).join('\n'));
}

/** Istio reports any one of several labels that are not strings, or of several unknown top-level fields. */
function isOneOfSeveral(ours: string, theirs: string): boolean {
  const kinds = [/^error decoding configuration: json: cannot unmarshal \w+ into Go value of type string$/, /^unknown field "/];
  return kinds.some((kind) => kind.test(ours) && kind.test(theirs));
}

function stageOf(message: string): ValidationStage | 'none' {
  if (message === '') return 'none';
  return message.startsWith('error decoding configuration: ') ? 'decode' : 'webhook';
}

function sameButGo(ours: string, theirs: string): boolean {
  const plain = (text: string): string => GO_TEXTS.reduce((rest, [pattern, by]) => rest.replaceAll(pattern, by), inOrder(text));
  return plain(ours) === plain(theirs);
}

/** Sorts lines about labels and unknown fields, which Istio reports in random order. */
function inOrder(message: string): string {
  // A lone surrogate cannot come from an API server, and Istio's decoder prints it in its escaped form.
  const lines = message.replaceAll(/\\\\ud[89a-f][0-9a-f]{2}/g, '\ufffd').split('\n');
  const isShuffled = (line: string): boolean => line.includes(' is not supported in selector: ');
  const sorted = lines.filter(isShuffled).sort();
  return lines.map((line) => (isShuffled(line) ? (sorted.shift() ?? '') : line)).join('\n');
}

function difference(kind: DifferenceKind, about: Difference['about'], ours: string, theirs: string): readonly Difference[] {
  return ours === theirs ? [] : [{ kind, about, ours, theirs }];
}
