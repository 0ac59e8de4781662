/*
 * The option `-o, --output` and its formats JSON and YAML.
 */
import { Option } from 'commander';
import { stringify } from 'yaml';

/** Formats for programs. */
export type StructuredFormat = 'json' | 'yaml';
/** Formats of most commands. */
export type OutputFormat = 'table' | StructuredFormat;

/** The option `-o, --output <format>`, default `table`. @param more formats besides table, JSON and YAML */
export function outputOption(...more: readonly string[]): Option {
  return new Option('-o, --output <format>', 'output format').choices(['table', 'json', 'yaml', ...more]).default('table');
}

/** `value` as indented JSON or as YAML, ended by a newline. */
export function formatStructured(value: unknown, format: StructuredFormat): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
