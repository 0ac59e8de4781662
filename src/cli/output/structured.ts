/*
 * The option `-o, --output` and its formats JSON and YAML.
 */
import { Option } from 'commander';
import { Document, Scalar, visit } from 'yaml';
import { escapeSpecial, isPrintable } from '../terminal/printable.ts';

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
export type OutputKind =
  | 'CheckResult'
  | 'Bundle'
  | 'Bundles'
  | 'Explanation'
  | 'TestReport'
  | 'Comparison'
  | 'Proof'
  | 'InvariantProof'
  | 'Version'
  | 'BundleVerification'
  | 'PublishedBundle'
  | 'Status'
  | 'SigningKeys';

/** `value` with its version and kind, as JSON or YAML. */
export function formatDocument(kind: OutputKind, value: object, format: StructuredFormat): string {
  return formatStructured({ apiVersion: OUTPUT_API_VERSION, kind, ...value }, format);
}

/** `value` as indented JSON or as YAML, ended by a newline. */
export function formatStructured(value: unknown, format: StructuredFormat): string {
  return format === 'json' ? formatJson(value) : formatYaml(value);
}

/** `value` as indented JSON, ended by a newline. Control and format characters are escaped. */
export function formatJson(value: unknown): string {
  return `${escapeSpecial(JSON.stringify(value, null, 2), 'json')}\n`;
}

/** In YAML only strings in double quotes may have escapes. Those on several lines could have a command of a CI service on one of them. */
function formatYaml(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && !isPrintable(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return escapeSpecial(document.toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER }), 'yaml');
}
