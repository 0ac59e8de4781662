/*
 * Parses YAML of others in time proportional to its length. The library's own error texts quote the line of each error, and a line may
 * have an error per character.
 */
import {
  type Document,
  type DocumentOptions,
  LineCounter,
  type ParseOptions,
  parseAllDocuments,
  type SchemaOptions,
  type YAMLError,
} from 'yaml';

/** The documents of a text. */
export interface YamlDocuments {
  readonly documents: readonly Document.Parsed[];
  readonly lineCounter: LineCounter;
  /** What the error says, and where. */
  readonly errorText: (error: YAMLError) => string;
}

/** All documents of `text`, with their errors; none for an empty text. */
export function parseYamlDocuments(text: string, options: ParseOptions & DocumentOptions & SchemaOptions = {}): YamlDocuments {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { ...options, lineCounter, prettyErrors: false, logLevel: 'error' });
  const errorText = ({ message, pos: [start] }: YAMLError): string => {
    const [first = 'not YAML'] = message.split('\n', 1);
    if (start < 0) return first;
    const { line, col } = lineCounter.linePos(start);
    return `${first} at line ${line}, column ${col}`;
  };
  return { documents: Array.isArray(documents) ? documents : [], lineCounter, errorText };
}
