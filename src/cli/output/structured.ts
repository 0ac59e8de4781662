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

/** Version of the documents that commands print; docs/reference/output.schema.json describes them. */
export const OUTPUT_API_VERSION = 'cli.sallyport.dev/v1';

/** Kinds of the documents. */
export type OutputKind = 'CheckResult' | 'Bundle' | 'Bundles' | 'Explanation' | 'TestReport' | 'Comparison' | 'Version';

/** `value` with its version and kind, as JSON or YAML. */
export function formatDocument(kind: OutputKind, value: object, format: StructuredFormat): string {
  return formatStructured({ apiVersion: OUTPUT_API_VERSION, kind, ...value }, format);
}

/** `value` as indented JSON or as YAML, ended by a newline. */
export function formatStructured(value: unknown, format: StructuredFormat): string {
  return format === 'json' ? `${JSON.stringify(value, null, 2)}\n` : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
