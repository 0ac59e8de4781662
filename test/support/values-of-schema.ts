/*
 * Arbitrary values of a JSON Schema (draft 7), as far as the chart's schema uses it. A value may break `not` and `oneOf`, which the
 * caller checks with a validator.
 */
import * as fc from 'fast-check';

/** The parts of a JSON Schema that are read here. */
export interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

/** Arbitrary values. Optional properties are absent most of the time, so that a value combines a few of them. */
export function valuesOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { anyOf, oneOf, type } = schema;
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(valuesOf));
  if (oneOf !== undefined && schema.properties !== undefined)
    return fc.oneof(...oneOf.map((one) => objectOf({ ...schema, ...narrowed(schema, one) })));
  switch (type) {
    case 'object':
      return objectOf(schema);
    case 'array':
      return fc.array(valuesOf(schema.items ?? {}), { maxLength: 3 });
    case 'string':
      return stringOf(schema);
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1e6, 2 ** 31 - 1) });
    case 'number':
      return fc.double({ min: schema.minimum ?? schema.exclusiveMinimum ?? 0, max: schema.maximum ?? 1e9, noNaN: true });
    case 'boolean':
      return fc.boolean();
    default:
      return fc.constantFrom('x', 1, true, { a: 'b' });
  }
}

/** One alternative of `oneOf`: the properties that the other alternatives require are left out. */
function narrowed(schema: JsonSchema, one: JsonSchema): Pick<JsonSchema, 'properties' | 'required'> {
  const others = (schema.oneOf ?? []).filter((other) => other !== one).flatMap(({ required = [] }) => required);
  const properties = Object.entries(schema.properties ?? {}).filter(([name]) => !others.includes(name));
  return { properties: Object.fromEntries(properties), required: [...(schema.required ?? []), ...(one.required ?? [])] };
}

function objectOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { properties, required = [], additionalProperties, propertyNames } = schema;
  if (properties === undefined) {
    const values = typeof additionalProperties === 'object' ? valuesOf(additionalProperties) : fc.constant('x');
    const keys =
      propertyNames?.pattern !== undefined || propertyNames?.anyOf !== undefined
        ? valuesOf(propertyNames)
        : fc.stringMatching(/^[a-z]{1,8}$/);
    return fc.dictionary(keys as fc.Arbitrary<string>, values, { maxKeys: 3 });
  }
  const names = Object.keys(properties);
  return fc
    .record(
      Object.fromEntries(
        names.map((name) => {
          const value = valuesOf(properties[name] ?? {});
          return [name, required.includes(name) ? value : fc.option(value, { freq: 1, nil: undefined })];
        }),
      ),
    )
    .map((object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)));
}

function stringOf({ pattern, minLength = 0 }: JsonSchema): fc.Arbitrary<string> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: 'small' });
  return fc.oneof(
    fc.stringMatching(/^[a-z][a-z0-9-]{0,10}[a-z0-9]$/),
    fc
      .constantFrom('true', 'null', '123', '1e3', 'a: b', '- x', '"', "'", '#', '{{ . }}', '*', '&a', 'ä', ' ', '~', 'no', '0x1f', 'a\nb')
      .filter((text) => text.length >= minLength),
  );
}
