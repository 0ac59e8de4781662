/*
 * A reader of JSON messages with the habits of Istio's decoder: camelCase or snake_case member names, null and empty lists
 * mean absent, a null list element is an empty one, enums by name or number, unknown members are passed over with a
 * warning. In: a raw value and its path. Out: a typed value; findings are added to a list. Called by decode-policy.
 */
import type { Finding } from '../../errors.ts';
import { parseGoDuration } from '../go/duration.ts';
import { goJsonString, goTypeError } from '../go/json.ts';
import { goQuote } from '../go/quote.ts';

/** Where a value stands and where its findings go. */
export interface DecodeContext {
  /** As in {@link Finding.path}. */
  readonly path: string;
  readonly findings: Finding[];
}

/** Reads one value that is neither null nor absent; undefined means absent (or a finding was added). */
export type Decode<T> = (value: unknown, context: DecodeContext) => T | undefined;

/** Go's type of an enumeration's value. */
const ENUM_NUMBER = 'protoreflect.EnumNumber';
/** Members whose name in the .proto file is no snake_case. */
const CAMEL_CASE_IN_PROTO: ReadonlySet<string> = new Set(['targetRef', 'targetRefs']);

type Fields<T> = { readonly [K in keyof T]-?: Decode<Exclude<T[K], undefined>> };

/** A string; a lone surrogate becomes U+FFFD, as it does on the way through Go. */
export const text: Decode<string> = (value, context) =>
  typeof value === 'string' ? value.toWellFormed() : mismatch(value, 'string', context);

/** `true` or `false`. */
export const flag: Decode<boolean> = (value, context) => (typeof value === 'boolean' ? value : mismatch(value, 'bool', context));

/** Duration text; nanoseconds out. */
export const duration: Decode<bigint> = (value, context) => {
  if (typeof value !== 'string') return mismatch(value, 'string', context);
  const result = parseGoDuration(value);
  return result.kind === 'ok' ? result.ns : fail(`bad Duration: ${result.message}`, context);
};

/** A map of strings. */
export const textMap: Decode<Readonly<Record<string, string>>> = (value, context) => {
  if (!isRecord(value)) return mismatch(value, 'map[string]json.RawMessage', context);
  const entries = Object.entries(value).map(([key, item]) => [key, item === null ? '' : (text(item, at(context, `.${key}`)) ?? '')]);
  return Object.fromEntries(entries) as Readonly<Record<string, string>>;
};

/** One of `names`, by name or by its position. */
export function oneOf<const T extends string>(names: readonly T[], typeName: string): Decode<T> {
  return (value, context) => {
    if (typeof value === 'number' && Number.isInteger(value))
      return names[value] ?? fail(`unknown value ${value} for enum ${typeName}`, context);
    if (typeof value === 'number') return fail(`json: cannot unmarshal number ${value} into Go value of type ${ENUM_NUMBER}`, context);
    if (typeof value !== 'string') return mismatch(value, ENUM_NUMBER, context);
    return names.find((name) => name === value) ?? fail(`unknown value ${goQuote(goJsonString(value))} for enum ${typeName}`, context);
  };
}

/** A list; absent when empty. A null element is read as the empty string or the empty message. */
export function listOf<T>(element: Decode<T>, empty: unknown): Decode<readonly T[]> {
  return (value, context) => {
    if (!Array.isArray(value)) return mismatch(value, '[]json.RawMessage', context);
    const items = value.map((item: unknown, index) => element(item ?? empty, at(context, `[${index}]`)));
    return items.length === 0 ? undefined : (items.filter((item) => item !== undefined) as readonly T[]);
  };
}

/** A list of strings. */
export const texts: Decode<readonly string[]> = listOf(text, '');

/** A message with the given members, read in this order; members that are absent are absent in the value too. */
export function message<T extends object>(fields: Fields<T>): Decode<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  const spellings = new Set(names.flatMap((name) => [name, protoName(name)]));
  return (value, context) => {
    if (!isRecord(value)) return mismatch(value, 'map[string]json.RawMessage', context);
    const decoded: Record<string, unknown> = {};
    for (const name of names) {
      // The camelCase spelling wins when both are there, even with null.
      const spelling = [name, protoName(name)].find((candidate) => Object.hasOwn(value, candidate));
      const member = spelling === undefined ? null : value[spelling];
      if (member === null || member === undefined) continue;
      const result = fields[name](member, at(context, `.${spelling}`));
      if (result !== undefined) decoded[name] = result;
    }
    for (const spelling of Object.keys(value)) if (!spellings.has(spelling)) unknownField(at(context, `.${spelling}`));
    return decoded as T;
  };
}

/** The context of a member or element; `step` is `.name` or `[index]`. */
export function at(context: DecodeContext, step: string): DecodeContext {
  return { path: `${context.path}${step}`, findings: context.findings };
}

/** True for a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The name in the .proto file, which Istio's decoder takes as well. */
function protoName(name: string): string {
  if (CAMEL_CASE_IN_PROTO.has(name)) return name;
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function mismatch(value: unknown, wanted: string, context: DecodeContext): undefined {
  return fail(goTypeError(value, wanted), context);
}

function fail(text: string, context: DecodeContext): undefined {
  context.findings.push({ code: 'SP_SCHEMA', severity: 'error', path: context.path, message: text });
}

function unknownField(context: DecodeContext): void {
  context.findings.push({
    code: 'SP_SCHEMA',
    severity: 'warning',
    path: context.path,
    message: `unknown field ${JSON.stringify(context.path)}`,
    hint: 'the field has no effect: check its spelling and place',
  });
}
