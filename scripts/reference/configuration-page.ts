/*
 * docs/reference/configuration.md: types, defaults and limits from the schemas of src/config, meanings from the tables here. A
 * setting without a meaning, or a meaning without a setting, fails the generator.
 */
import * as z from 'zod';
import { AGENT_SETTINGS } from '../../src/config/agent.ts';
import { CONTROLLER_SETTINGS, controllerConfigSchema } from '../../src/config/controller.ts';
import { AGENT_MEANINGS, CONTROLLER_MEANINGS, MESH_MEANINGS } from './configuration-meanings.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

interface JsonSchema {
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

export function configurationPage(): string {
  const settings = leaves(schemaOf(), '');
  const mesh = settings.filter(({ path }) => path.startsWith('mesh.'));
  const controller = settings.filter(({ path }) => !path.startsWith('mesh.'));
  return [
    GENERATED,
    '# Configuration\n\nAn unknown key, flag or value is an error that names it.\n',
    '\n## Controller\n\nFlags win over environment variables, those over the file of `--config` (`SALLYPORT_CONFIG`), the file over defaults. Keys in the\n',
    'file nest at the dots. Exit code 78 says that the configuration is wrong. Source: `src/config/controller.ts`.\n\n',
    controllerTable(controller),
    '\n### Mesh\n\nIn the file only, read again when it changes. Names are those of MeshConfig in Istio. Agents ask the\n',
    'extension providers that CUSTOM policies name: [what happens to a request](../explain/request.md#external-authorizers). Source: `src/config/mesh.ts`.\n\n',
    settingsTable(mesh, MESH_MEANINGS),
    '\n## Agent\n\nInjection writes the environment variables; flags win. Exit code 78 says that a setting is wrong. Source: `src/config/agent.ts`.\n\n',
    agentTable(),
  ].join('');
}

function schemaOf(): JsonSchema {
  return z.toJSONSchema(controllerConfigSchema, {
    io: 'input',
    unrepresentable: 'any',
    // Defaults of values that are transformed are left out of an input schema; people want to see them.
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
  checkSame(
    [...namesByPath.keys()].filter((path) => !settings.some((setting) => setting.path === path)),
    'is no key of the file',
  );
  const rows = settings.map(({ path, schema }) => {
    const [flag = '', variable = ''] = namesByPath.get(path) ?? [];
    return [
      code(path),
      [flag, variable]
        .filter((name) => name !== '')
        .map(code)
        .join(' '),
      typeText(schema),
      defaultText(schema),
      meaning(CONTROLLER_MEANINGS, path),
    ];
  });
  checkSame(
    difference(
      Object.keys(CONTROLLER_MEANINGS),
      settings.map((setting) => setting.path),
    ),
    'is no setting',
  );
  return markdownTable(['key', 'flag, variable', 'value', 'default', 'meaning'], rows);
}

function settingsTable(settings: readonly Setting[], meanings: Readonly<Record<string, string>>): string {
  checkSame(
    difference(
      Object.keys(meanings),
      settings.map((setting) => setting.path),
    ),
    'is no setting',
  );
  const rows = settings.map(({ path, schema }) => [code(path), typeText(schema), defaultText(schema), meaning(meanings, path)]);
  return markdownTable(['key', 'value', 'default', 'meaning'], rows);
}

function agentTable(): string {
  checkSame(difference(Object.keys(AGENT_MEANINGS), Object.keys(AGENT_SETTINGS)), 'is no flag of the agent');
  const rows = Object.entries(AGENT_SETTINGS).map(([flag, variable]) => {
    const row = AGENT_MEANINGS[flag];
    if (row === undefined) throw new Error(`scripts/reference/configuration-meanings.ts says nothing of the agent's --${flag}`);
    return [code(`--${flag}`), code(variable), row.value, code(row.fallback), row.meaning];
  });
  return markdownTable(['flag', 'variable', 'value', 'default', 'meaning'], rows);
}

function meaning(meanings: Readonly<Record<string, string>>, path: string): string {
  const text = meanings[path];
  if (text === undefined) throw new Error(`scripts/reference/configuration-meanings.ts says nothing of ${path}`);
  return text;
}

function difference(some: readonly string[], others: readonly string[]): readonly string[] {
  return some.filter((one) => !others.includes(one));
}

function checkSame(unknown: readonly string[], what: string): void {
  if (unknown.length > 0) throw new Error(`configuration page: ${unknown.join(', ')} ${what}`);
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
      return `list of ${schema.items === undefined ? 'values' : typeText(schema.items)}`;
    case 'object':
      return 'mapping';
    default:
      return 'text';
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
