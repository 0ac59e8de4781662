/*
 * `-o json` and `-o yaml`. In: a plain value. Out: its text. Called by the commands that offer `--output`.
 */
import { Option } from 'commander';
import { stringify } from 'yaml';

export type StructuredFormat = 'json' | 'yaml';
export type OutputFormat = 'table' | StructuredFormat;

/** The option `-o, --output` that every command with something to print has. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'form of the output').choices(['table', 'json', 'yaml']).default('table');
}

/** `value` as indented JSON or as YAML, ended by a newline. */
export function formatStructured(value: unknown, format: StructuredFormat): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
