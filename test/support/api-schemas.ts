/*
 * JSON Schemas of every kind that an API server serves, from its own OpenAPI document, for kubeconform. Strict: a field that the server would
 * drop is a fault.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Definition {
  readonly properties?: Readonly<Record<string, Definition>>;
  readonly additionalProperties?: unknown;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[];
  readonly [keyword: string]: unknown;
}

/** `kubectl get --raw /openapi/v2`, of which only this is read. */
export interface OpenApi {
  readonly definitions: Readonly<Record<string, Definition>>;
}

/** Where {@link writeSchemas} puts the schema of a kind, as kubeconform names its parts. */
export const SCHEMA_LOCATION = '{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json';

/** Writes one file for each kind. @returns their number */
export function writeSchemas({ definitions }: OpenApi, directory: string): number {
  const strict = new Map(Object.entries(definitions).map(([name, definition]) => [name, strictOf(name, definition)]));
  let count = 0;
  for (const [name, definition] of Object.entries(definitions)) {
    const kinds = definition['x-kubernetes-group-version-kind'] ?? [];
    // Options of a deletion have one definition for all groups.
    if (kinds.length !== 1) continue;
    for (const { group, version, kind } of kinds) {
      // As kubeconform has it, the group of an apiVersion without a slash is its version.
      const path = join(directory, `${group || version}_${version}_${kind.toLowerCase()}.json`);
      writeFileSync(path, JSON.stringify({ $ref: `#/definitions/${name}`, definitions: reachable(name, strict) }));
      count += 1;
    }
  }
  return count;
}

function strictOf(name: string, definition: Definition): unknown {
  if (name.endsWith('.util.intstr.IntOrString')) return { type: ['string', 'integer'] };
  if (name.endsWith('.api.resource.Quantity')) return { type: ['string', 'number'] };
  return closed(definition);
}

/** A schema whose objects have no other fields than those of their properties. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { properties, additionalProperties, ...rest } = schema as Definition;
  const others = Object.fromEntries(Object.entries(rest).map(([keyword, value]) => [keyword, closed(value)]));
  if (properties === undefined) return additionalProperties === undefined ? others : { ...others, additionalProperties };
  const fields = Object.fromEntries(Object.entries(properties).map(([field, value]) => [field, closed(value)]));
  const isOpen = additionalProperties !== undefined || rest['x-kubernetes-preserve-unknown-fields'] === true;
  return { ...others, properties: fields, ...(isOpen ? {} : { additionalProperties: false }) };
}

/** The definitions that a definition uses, directly or not, with itself. */
function reachable(name: string, all: ReadonlyMap<string, unknown>): Readonly<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  const open = [name];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next in found) continue;
    found[next] = all.get(next);
    for (const [, used = ''] of JSON.stringify(found[next]).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) open.push(used);
  }
  return found;
}
