/*
 * Writes what of the chart follows from something else: values.schema.json from src/config, crds/ from src/api, the table
 * of values in README.md from the comments in values.yaml. `node scripts/gen-chart.ts` writes; with `--check` it writes
 * nothing and exits 1 when a file differs from what would be written.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parse } from 'yaml';
import { crdFiles } from '../src/api/crd/custom-resource-definitions.ts';
import { chartValuesSchema } from '../src/config/chart-values.ts';

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
    // A file that is not there differs from any text.
    return undefined;
  }
}

function valueAt(values: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], values);
}

/** One table per `@section`, one row per `@param`. */
function valuesTable(valuesText: string): string {
  const values: unknown = parse(valuesText);
  const lines: string[] = [];
  for (const [, tag = '', rest = ''] of valuesText.matchAll(/^ *## @(section|param) (.+)$/gm)) {
    if (tag === 'section') {
      lines.push('', `### ${rest}`, '', '| value | meaning | default |', '| --- | --- | --- |');
      continue;
    }
    const [name = '', ...words] = rest.split(' ');
    const value = valueAt(values, name);
    if (value === undefined) throw new Error(`values.yaml documents ${name}, which it does not have`);
    lines.push(`| \`${name}\` | ${words.join(' ').replaceAll('|', '\\|')} | \`${JSON.stringify(value)}\` |`);
  }
  return `${lines.join('\n').trim()}\n`;
}

function readme(): string {
  const text = current('README.md') ?? `${BEGIN}\n${END}\n`;
  const [head, tail] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (head < 0 || tail < head) throw new Error(`charts/sallyport/README.md needs the lines ${BEGIN} and ${END}`);
  return `${text.slice(0, head)}${BEGIN}\n\n${valuesTable(current('values.yaml') ?? '')}\n${text.slice(tail)}`;
}

const generated: readonly Generated[] = [
  { path: 'values.schema.json', text: `${JSON.stringify(chartValuesSchema(), null, 2)}\n` },
  { path: 'README.md', text: readme() },
  ...crdFiles().map((file) => ({ path: `crds/${file.name}`, text: file.text })),
];

const stale = generated.filter(({ path, text }) => current(path) !== text);
if (isCheck) {
  for (const { path } of stale) console.error(`charts/sallyport/${path} is stale; run: node scripts/gen-chart.ts`);
  // Never back to 0: another generator may have found something stale in the same process.
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const { path, text } of stale) {
    mkdirSync(dirname(new URL(path, folder).pathname), { recursive: true });
    writeFileSync(new URL(path, folder), text);
    console.error(`wrote charts/sallyport/${path}`);
  }
}
