/*
 * docs/reference/configuration.md, from the schemas of src/config: types, defaults, limits and descriptions. A setting
 * without a description fails the generator.
 */
import * as z from 'zod';
import { AGENT_SETTINGS, type AgentSetting } from '../../src/config/agent.ts';
import { AGENT_REFERENCE } from '../../src/config/agent-reference.ts';
import { CONTROLLER_SETTINGS, controllerConfigSchema } from '../../src/config/controller.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

interface JsonSchema {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly pattern?: string;
}

interface Setting {
  readonly path: string;
  readonly schema: JsonSchema;
}

/** Part of the pattern of every duration. */
const DURATION_MARK = '(?:ms|s|m|h)';

/** Text of docs/reference/configuration.md. */
export function configurationPage(): string {
  const settings = leaves(schemaOf(), '');
  const mesh = settings.filter(({ path }) => path.startsWith('mesh.'));
  const controller = settings.filter(({ path }) => !path.startsWith('mesh.'));
  return [
    GENERATED,
    '# Configuration\n\nAn unknown key, flag or value is an error that names it.\n',
    '\n## Controller\n\nFlags win over environment variables, environment variables over the file of `--config` (`SALLYPORT_CONFIG`), the file over\n',
    'defaults. A dot in a key is one level of nesting in the file. Exit code 78: the configuration is invalid. Source: `src/config/controller.ts`.\n\n',
    controllerTable(controller),
    "\n### Mesh\n\nSet in the file only, and read again when it changes. The names are those of Istio's MeshConfig. Agents send a check to the\n",
    'extension provider that a CUSTOM policy names: [what happens to a request](../explain/request.md#external-authorizers). Source: `src/config/mesh.ts`.\n\n',
    settingsTable(mesh),
    '\n## Agent\n\nInjection sets the environment variables; flags win. Exit code 78: a setting is invalid. Source: `src/config/agent.ts`.\n\n',
    agentTable(),
  ].join('');
}

function schemaOf(): JsonSchema {
  return z.toJSONSchema(controllerConfigSchema, {
    io: 'input',
    unrepresentable: 'any',
    // An input schema leaves out the defaults of transformed values; the page shows them.
    override: ({ zodSchema, jsonSchema }) => {
      const { def } = zodSchema._zod;
      if (def.type === 'default') jsonSchema.default = (def as z.core.$ZodDefaultDef).defaultValue;
    },
  }) as JsonSchema;
}

function leaves(schema: JsonSchema, path: string): readonly Setting[] {
  const inner = Object.entries(schema.properties ?? {});
  if (inner.length > 0) return inner.flatMap(([key, child]) => leaves(child, path === '' ? key : `${path}.${key}`));
  if (schema.type === 'array' && schema.items?.properties !== undefined) return leaves(schema.items, `${path}[]`);
  return [{ path, schema }];
}

function controllerTable(settings: readonly Setting[]): string {
  const namesByPath = new Map(CONTROLLER_SETTINGS.map(([path, flag, variable]) => [path, [`--${flag}`, variable]]));
  const unknown = [...namesByPath.keys()].filter((path) => !settings.some((setting) => setting.path === path));
  if (unknown.length > 0) throw new Error(`configuration page: ${unknown.join(', ')}: not a key of the file`);
  const rows = settings.map((setting) => {
    const names = namesByPath.get(setting.path) ?? [];
    return [code(setting.path), names.map(code).join(' '), typeText(setting.schema), defaultText(setting.schema), descriptionOf(setting)];
  });
  return markdownTable(['key', 'flag, variable', 'value', 'default', 'description'], rows);
}

function settingsTable(settings: readonly Setting[]): string {
  const rows = settings.map((setting) => [
    code(setting.path),
    typeText(setting.schema),
    defaultText(setting.schema),
    descriptionOf(setting),
  ]);
  return markdownTable(['key', 'value', 'default', 'description'], rows);
}

function agentTable(): string {
  const rows = Object.entries(AGENT_SETTINGS).map(([flag, variable]) => {
    const { value, fallback, description } = AGENT_REFERENCE[flag as AgentSetting];
    return [code(`--${flag}`), code(variable), value, code(fallback), description];
  });
  return markdownTable(['flag', 'variable', 'value', 'default', 'description'], rows);
}

function descriptionOf({ path, schema }: Setting): string {
  if (schema.description === undefined) throw new Error(`src/config does not describe ${path}`);
  return `${schema.description}.`;
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.pattern?.includes(DURATION_MARK) === true) return 'duration';
  if (schema.anyOf !== undefined) {
    const texts = schema.anyOf.map(typeText);
    return texts.includes('true, false') ? 'true, false' : (texts[0] ?? '');
  }
  switch (schema.type) {
    case 'boolean':
      return 'true, false';
    case 'integer':
    case 'number':
      return numberText(schema);
    case 'array':
      return `array of ${schema.items === undefined ? 'values' : `${typeText(schema.items)}s`}`;
    case 'object':
      return 'mapping';
    default:
      return 'string';
  }
}

function numberText({ type, minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  const name = type === 'integer' ? 'integer' : 'number';
  if (exclusiveMinimum !== undefined) return `${name} above ${exclusiveMinimum}`;
  if (minimum === undefined) return name;
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? `${name} from ${minimum}` : `${name}, ${minimum} to ${maximum}`;
}

function defaultText(schema: JsonSchema): string {
  const { default: value } = schema;
  if (value === undefined || value === '') return '';
  if (typeof value === 'number' && schema.pattern?.includes(DURATION_MARK) === true) return code(durationText(value));
  return code(typeof value === 'string' ? value : JSON.stringify(value));
}

function durationText(ms: number): string {
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
