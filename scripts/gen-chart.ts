/*
 * Writes the files of the chart that follow from sources: values.schema.json and the comments of values.yaml from
 * src/config, crds/ from src/api, the admission policies from scripts/admission, alerts and dashboards from scripts/observability, and the table of values in README.md. `node scripts/gen-chart.ts` writes; with `--check`
 * it writes nothing and exits 1 when a file is stale.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parse } from 'yaml';
import { crdFiles } from '../src/api/crd/custom-resource-definitions.ts';
import { chartValuesSchema } from '../src/config/chart-values.ts';
import { admissionPolicies } from './admission/admission-policies.ts';
import { prometheusRule } from './observability/alerts.ts';
import { dashboardFiles } from './observability/dashboards.ts';

const folder = new URL('../charts/sallyport/', import.meta.url);
const isCheck = process.argv.includes('--check');
const BEGIN = '<!-- values: begin -->';
const END = '<!-- values: end -->';

interface Generated {
  /** Below the chart's directory. */
  readonly path: string;
  readonly text: string;
}

function current(path: string): string | undefined {
  try {
    return readFileSync(new URL(path, folder), 'utf8');
  } catch {
    // A missing file is stale.
    return undefined;
  }
}

function valueAt(values: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], values);
}

interface JsonSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/** The description of a value by its dotted path. @throws Error when the schema has none */
function descriptionOf(path: string, schema: JsonSchema): string {
  const found = path.split('.').reduce<JsonSchema | undefined>((inner, key) => inner?.properties?.[key], schema);
  if (found?.description === undefined) throw new Error(`src/config/chart-values.ts does not describe ${path}`);
  return found.description;
}

/** values.yaml with the descriptions of the schema in its `@param` comments; values and defaults stay as they are. */
function describedValues(valuesText: string, schema: JsonSchema): string {
  return valuesText.replaceAll(/^( *## @param )(\S+)(?: .*)?$/gm, (_, start: string, path: string) => {
    return `${start}${path} ${descriptionOf(path, schema)}`;
  });
}

/** One table per `@section`, one row per `@param`. */
function valuesTable(valuesText: string): string {
  const values: unknown = parse(valuesText);
  const lines: string[] = [];
  for (const [, tag = '', rest = ''] of valuesText.matchAll(/^ *## @(section|param) (.+)$/gm)) {
    if (tag === 'section') {
      lines.push('', `### ${rest}`, '', '| value | description | default |', '| --- | --- | --- |');
      continue;
    }
    const [name = '', ...words] = rest.split(' ');
    const value = valueAt(values, name);
    if (value === undefined) throw new Error(`values.yaml describes ${name}, which has no default there`);
    lines.push(`| \`${name}\` | ${words.join(' ').replaceAll('|', '\\|')} | \`${JSON.stringify(value)}\` |`);
  }
  return `${lines.join('\n').trim()}\n`;
}

function readme(valuesText: string): string {
  const text = current('README.md') ?? `${BEGIN}\n${END}\n`;
  const [head, tail] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (head < 0 || tail < head) throw new Error(`charts/sallyport/README.md needs the lines ${BEGIN} and ${END}`);
  return `${text.slice(0, head)}${BEGIN}\n\n${valuesTable(valuesText)}\n${text.slice(tail)}`;
}

const schema = chartValuesSchema();
const values = describedValues(current('values.yaml') ?? '', schema as JsonSchema);
const generated: readonly Generated[] = [
  { path: 'values.schema.json', text: `${JSON.stringify(schema, null, 2)}\n` },
  { path: 'values.yaml', text: values },
  { path: 'README.md', text: readme(values) },
  { path: 'templates/admission-policies.yaml', text: admissionPolicies() },
  { path: 'templates/prometheusrule.yaml', text: prometheusRule() },
  ...dashboardFiles().map((file) => ({ path: `dashboards/${file.name}`, text: file.text })),
  ...crdFiles().map((file) => ({ path: `crds/${file.name}`, text: file.text })),
];

const stale = generated.filter(({ path, text }) => current(path) !== text);
if (isCheck) {
  for (const { path } of stale) console.error(`charts/sallyport/${path} is stale; run: node scripts/gen-chart.ts`);
  // Not reset to 0: another generator in the same process may have found a stale file.
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const { path, text } of stale) {
    mkdirSync(dirname(new URL(path, folder).pathname), { recursive: true });
    writeFileSync(new URL(path, folder), text);
    console.error(`wrote charts/sallyport/${path}`);
  }
}
