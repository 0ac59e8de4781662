/*
 * Decodes JSON into typed messages like Istio's decoder: member names in camelCase or snake_case, null and empty arrays mean
 * absent, a null array element is an empty one, enums by name or number, unknown members cause a warning.
 */
import { parseGoDuration } from '../go/duration.ts';
import { goJsonString, goTypeError } from '../go/json.ts';
import { goQuote } from '../go/quote.ts';
import { nearestName } from '../nearest-name.ts';
import type { AdmissionFinding, FindingText } from './validation-finding.ts';

/** Position of a value and the list that collects its findings. */
export interface DecodeContext {
  /** Path as in `Finding.path`. */
  readonly path: string;
  readonly findings: AdmissionFinding[];
}

/** Decodes one value that is neither null nor absent; undefined: absent, or a finding was added. */
export type Decode<T> = (value: unknown, context: DecodeContext) => T | undefined;

/** Go's types, as its error texts name them, with plain names. */
const PLAIN_TYPES = {
  string: 'a string',
  bool: 'a boolean',
  '[]json.RawMessage': 'an array',
  'map[string]json.RawMessage': 'an object',
  'protoreflect.EnumNumber': 'a string',
} as const;
type GoType = keyof typeof PLAIN_TYPES;
const ENUM_NUMBER: GoType = 'protoreflect.EnumNumber';
/** Longest JSON text that a message quotes. */
/** Unknown fields of one object for which a known name is suggested. */
const MAX_SUGGESTIONS = 200;
const MAX_QUOTED = 80;
/** Members whose name in the .proto file is not snake_case. */
const CAMEL_CASE_IN_PROTO: ReadonlySet<string> = new Set(['targetRef', 'targetRefs']);

type Fields<T> = { readonly [K in keyof T]-?: Decode<Exclude<T[K], undefined>> };

/** Decodes a string; a lone surrogate becomes U+FFFD, like in Go. */
export const string: Decode<string> = (value, context) =>
  typeof value === 'string' ? value.toWellFormed() : mismatch(value, 'string', context);

/** Decodes `true` or `false`. */
export const boolean: Decode<boolean> = (value, context) => (typeof value === 'boolean' ? value : mismatch(value, 'bool', context));

/** Decodes a duration string into nanoseconds. */
export const duration: Decode<bigint> = (value, context) => {
  if (typeof value !== 'string') return mismatch(value, 'string', context);
  const result = parseGoDuration(value);
  if (result.kind === 'ok') return result.ns;
  const message = `${JSON.stringify(value)} is not a duration such as 5s, 500ms or 1m30s`;
  return fail({ message, admissionMessage: `bad Duration: ${result.message}` }, context);
};

/** Decodes a map of strings; a null value is the empty string. */
export const stringMap: Decode<Readonly<Record<string, string>>> = (value, context) => {
  if (!isRecord(value)) return mismatch(value, 'map[string]json.RawMessage', context);
  const entries = Object.entries(value).map(([key, item]) => [key, item === null ? '' : (string(item, at(context, `.${key}`)) ?? '')]);
  return Object.fromEntries(entries) as Readonly<Record<string, string>>;
};

/** Decodes one of `names`, by name or by number. */
export function oneOf<const T extends string>(names: readonly T[], typeName: string): Decode<T> {
  return (value, context) => {
    const unknown = (admissionMessage: string): undefined =>
      fail({ message: `${JSON.stringify(value)} is not one of ${names.join(', ')}`, admissionMessage }, context);
    if (typeof value === 'number' && Number.isInteger(value)) return names[value] ?? unknown(`unknown value ${value} for enum ${typeName}`);
    if (typeof value === 'number') return unknown(`json: cannot unmarshal number ${value} into Go value of type ${ENUM_NUMBER}`);
    if (typeof value !== 'string') return mismatch(value, ENUM_NUMBER, context);
    return names.find((name) => name === value) ?? unknown(`unknown value ${goQuote(goJsonString(value))} for enum ${typeName}`);
  };
}

/** Decodes an array; an empty one is absent. A null element is decoded as `empty`: the empty string or the empty message. */
export function listOf<T>(element: Decode<T>, empty: unknown): Decode<readonly T[]> {
  return (value, context) => {
    if (!Array.isArray(value)) return mismatch(value, '[]json.RawMessage', context);
    const items = value.map((item: unknown, index) => element(item ?? empty, at(context, `[${index}]`)));
    return items.length === 0 ? undefined : (items.filter((item) => item !== undefined) as readonly T[]);
  };
}

/** Decodes an array of strings. */
export const strings: Decode<readonly string[]> = listOf(string, '');

/** Decodes a message with the given members, in this order; absent members are absent in the value, too. */
export function message<T extends object>(fields: Fields<T>): Decode<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  const members = names.map((name) => ({ name, protoName: protoName(name) }));
  const spellings = new Set(members.flatMap((member) => [member.name, member.protoName]));
  return (value, context) => {
    if (!isRecord(value)) return mismatch(value, 'map[string]json.RawMessage', context);
    const decoded: Record<string, unknown> = {};
    for (const { name, protoName: other } of members) {
      // The camelCase spelling takes precedence, even if it is null.
      const spelling = Object.hasOwn(value, name) ? name : other;
      const member = Object.hasOwn(value, spelling) ? value[spelling] : null;
      if (member === null || member === undefined) continue;
      const result = fields[name](member, at(context, `.${spelling}`));
      if (result !== undefined) decoded[name] = result;
    }
    for (const spelling of Object.keys(value)) if (!spellings.has(spelling)) unknownField(spelling, names, at(context, `.${spelling}`));
    return decoded as T;
  };
}

/** Context of a member or an element; `step` is `.name` or `[index]`. */
export function at(context: DecodeContext, step: string): DecodeContext {
  return { path: `${context.path}${step}`, findings: context.findings };
}

/** Whether `value` is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The name in the .proto file, which Istio's decoder accepts, too. */
function protoName(name: string): string {
  if (CAMEL_CASE_IN_PROTO.has(name)) return name;
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function mismatch(value: unknown, wanted: GoType, context: DecodeContext): undefined {
  const message = `expected ${PLAIN_TYPES[wanted]}, found ${describeValue(value)}`;
  return fail({ message, admissionMessage: goTypeError(value, wanted) }, context);
}

/** Names the type of a JSON value, and quotes it if it is a short string, a number or a boolean. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return value === null ? 'null' : 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value);
  return text.length > MAX_QUOTED ? `a ${typeof value}` : `the ${typeof value} ${text}`;
}

function fail(text: FindingText, context: DecodeContext): undefined {
  context.findings.push({ code: 'SP_SCHEMA', severity: 'error', path: context.path, ...text });
}

function unknownField(name: string, known: readonly string[], context: DecodeContext): void {
  // Comparing names is expensive, and who misspelt hundreds knows by then.
  const intended = context.findings.length < MAX_SUGGESTIONS ? nearestName(name, known) : undefined;
  context.findings.push({
    code: 'SP_SCHEMA',
    severity: 'warning',
    path: context.path,
    message: `unknown field ${JSON.stringify(context.path)}`,
    hint:
      intended === undefined
        ? 'the field has no effect: check its spelling and its position'
        : `did you mean ${intended}? The field has no effect`,
  });
}
