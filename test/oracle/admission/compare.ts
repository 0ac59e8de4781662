/*
 * Our admission beside Istio's. In: an object and Istio's answer. Out: the differences, each with its kind. Used by the
 * command; what counts as the same text is said here and nowhere else.
 */
import { denialMessage } from '../../../src/api/istio/admission-error.ts';
import { validatePolicy } from '../../../src/api/istio/validate-policy.ts';
import { admissionTextOf, type ValidationFinding, type ValidationStage } from '../../../src/api/istio/validation-finding.ts';
import type { Admission, Verdict } from './program.ts';

/** `stage`: one refuses where the other does not. `text`: both refuse, in other words. `go-text`: the words are a Go library's. */
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
 * Reasons that come out of Go's libraries and are not copied word for word: what a JSON reader stumbled over, what is wrong
 * with an address or a URL. Which value is refused, at which stage and by which check has to agree all the same.
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
 * Istio's decoder takes any number for an action and no part of Istio knows what it means; ours takes those that have a name.
 * The CRD refuses all of them.
 */
function hasNamelessAction(object: Named): boolean {
  const action = (object as { readonly spec?: { readonly action?: unknown } | null }).spec?.action;
  return typeof action === 'number' && ![0, 1, 2, 3].includes(action);
}

/** What the API server cannot read as an object; of several faults it names any. */
function compareUnreadable(findings: readonly ValidationFinding[], theirs: string): readonly Difference[] {
  const errors = findings.filter(({ stage, severity }) => stage === 'crd' && severity === 'error');
  if (errors.length === 0) return difference('stage', 'crd', '', theirs);
  return errors.some((finding) => admissionTextOf(finding) === theirs)
    ? []
    : difference('text', 'crd', errors.map(admissionTextOf).join('\n'), theirs);
}

function compareCrd(findings: readonly ValidationFinding[], theirs: readonly string[]): readonly Difference[] {
  const told = theirs.filter(isTold);
  const errors = findings.filter(({ stage, severity }) => stage === 'crd' && severity === 'error').filter(isComparable(told));
  const ours = errors
    .filter(({ code }) => code !== 'SP_CEL' || !hasBlocking(theirs))
    .map((finding) => `${finding.path}: ${admissionTextOf(finding)}`)
    .sort();
  const kind = errors.length > 0 === told.length > 0 ? 'text' : 'stage';
  return difference(kind, 'crd', ours.join('\n'), told.filter(isOutsideLongLists).map(inBrackets).map(likeOurs).sort().join('\n'));
}

/**
 * Left out of what the API server tells: that a value of the wrong type is also none of an enumeration, and what it says of a
 * label that is called `__proto__`, which no pod can have.
 */
function isTold(text: string): boolean {
  return !/^spec\.action: Unsupported value: [^"]/.test(text) && !/^spec\.selector\.matchLabels[.[]__proto__/.test(text);
}

/** We look into a list that is too long no further, and into no object of a version that is not served. */
function isOutsideLongLists(text: string, _index: number, all: readonly string[]): boolean {
  const lists = all.flatMap((other) => /^(.*): Too many: /.exec(other)?.[1] ?? []);
  return !lists.some((list) => text.startsWith(`${list}[`));
}

function isComparable(theirs: readonly string[]): (finding: ValidationFinding) => boolean {
  const isServed = !theirs.some((text) => text.startsWith('apiVersion: '));
  return ({ path }) => isServed || path === 'apiVersion';
}

/** A label is told as a member or as an element, by whether the schema or a CEL rule found it; ours is always an element. */
function inBrackets(text: string): string {
  return text.replaceAll(/matchLabels\.(.*?)(: | in body )/gs, 'matchLabels[$1]$2');
}

/** Where no API server is asked there is no list of what it serves. */
function likeOurs(text: string): string {
  return text.replace(/^(apiVersion: no kind .*)$/s, '$1; served are security.istio.io/v1, security.istio.io/v1beta1');
}

/** The API server asks no CEL rule when one of these is there; we do, to show all at once. */
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

/** Of several labels that are no strings, and of several unknown fields beside `spec`, Istio names any. */
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

/** Istio walks labels and unknown fields in no order, so that lines about several of them come in any. */
function inOrder(message: string): string {
  // Half of a surrogate pair cannot come from an API server, and Istio's decoder shows it as it was written.
  const lines = message.replaceAll(/\\\\ud[89a-f][0-9a-f]{2}/g, '\ufffd').split('\n');
  const isShuffled = (line: string): boolean => line.includes(' is not supported in selector: ');
  const sorted = lines.filter(isShuffled).sort();
  return lines.map((line) => (isShuffled(line) ? (sorted.shift() ?? '') : line)).join('\n');
}

function difference(kind: DifferenceKind, about: Difference['about'], ours: string, theirs: string): readonly Difference[] {
  return ours === theirs ? [] : [{ kind, about, ours, theirs }];
}
