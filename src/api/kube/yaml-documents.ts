/*
 * Parses YAML of others in time proportional to its length, whatever it contains. The library collects every error, compares each key of
 * a mapping with all others, and searches all anchors for each alias; here a text is given up at a limit, which its error names.
 */
import {
  Composer,
  type CST,
  Document,
  type DocumentOptions,
  isAlias,
  isCollection,
  isPair,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  type ParseOptions,
  Parser,
  type Scalar,
  type SchemaOptions,
  type YAMLError,
  YAMLParseError,
} from 'yaml';
import { RefusedError } from '../../errors.ts';
import { plainValue } from './plain-value.ts';

/** The documents of a text. */
export interface YamlDocuments {
  readonly documents: readonly Document.Parsed[];
  readonly lineCounter: LineCounter;
  /** What the error says, and where. */
  readonly errorText: (error: YAMLError) => string;
}

/** Options of {@link parseYamlDocuments}. */
export type YamlOptions = ParseOptions & DocumentOptions & SchemaOptions;

/** A type of scalar that a text may have besides those of YAML 1.2. */
export type { ScalarTag } from 'yaml';

/** Errors of one text; more say nothing new. */
const MAX_ERRORS = 100;
/** Nested collections; the deepest manifests, CRDs, have about 40. */
const MAX_DEPTH = 1000;
/** Aliases of one document: each is looked up among all anchors before it. */
const MAX_ALIASES = 1000;
/** Merge keys (`<<`) of one document: each copies the mapping that it names. */
const MAX_MERGES = 100;
/** Tokens of any text. A longer one has at least as many characters for each: minified JSON has about 3, other manifests 5 to 9. */
const FREE_TOKENS = 100_000;
const CHARACTERS_PER_TOKEN = 1.5;

/** Ends the reading of a text. */
class GivenUp extends Error {
  override readonly name: string = 'GivenUp';
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(reason);
    this.offset = offset;
  }
}

/**
 * All documents of `text`, with their errors; none for an empty text. Of a text that is given up at a limit the last document has the error
 * that says so.
 */
export function parseYamlDocuments(text: string, options: YamlOptions = {}): YamlDocuments {
  const lineCounter = new LineCounter();
  const documents: Document.Parsed[] = [];
  const composer = new Composer({ ...options, uniqueKeys: false, prettyErrors: false, logLevel: 'error' });
  const errors = new ErrorCount();
  limitErrors(composer, errors);
  try {
    for (const document of composer.compose(tokensOf(text, lineCounter, errors))) {
      checkNodes(document);
      documents.push(document);
    }
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
    documents.push(unread(error));
  }
  const errorText = ({ message, pos: [start] }: YAMLError): string => {
    const [first = 'not YAML'] = message.split('\n', 1);
    if (start < 0) return first;
    const { line, col } = lineCounter.linePos(start);
    return `${first} at line ${line}, column ${col}`;
  };
  return { documents, lineCounter, errorText };
}

/** The only document of a text. */
export interface YamlDocument {
  /** An empty one for an empty text. */
  readonly document: Document;
  readonly lineCounter: LineCounter;
  /** The first error; more than one document is one. */
  readonly error: { readonly message: string; readonly line: number } | undefined;
}

/** Parses a text that is to have one document. */
export function parseYamlDocument(text: string): YamlDocument {
  const { documents, lineCounter, errorText } = parseYamlDocuments(text);
  const [document = new Document(null), second] = documents;
  const error = documents.flatMap(({ errors }) => errors)[0] ?? (second === undefined ? undefined : secondDocument(second));
  const lineOf = ({ pos: [start] }: YAMLError): number => lineCounter.linePos(Math.max(0, start)).line;
  return { document, lineCounter, error: error === undefined ? undefined : { message: errorText(error), line: lineOf(error) } };
}

function secondDocument({ range: [start] }: Document.Parsed): YAMLParseError {
  return new YAMLParseError([start, start + 1], 'MULTIPLE_DOCS', 'there is more than one document');
}

/**
 * The value of a text with one document; null for an empty text.
 *
 * @throws RefusedError SP_MANIFEST with what is wrong, and where
 */
export function parseYamlValue(text: string): unknown {
  const { document, error } = parseYamlDocument(text);
  if (error !== undefined) throw new RefusedError('SP_MANIFEST', error.message);
  return plainValue(document);
}

/** The errors of one text so far. */
class ErrorCount {
  #first: { readonly message: string; readonly offset: number } | undefined;
  #count = 0;

  /** @throws GivenUp when there are too many */
  add(message: string, offset: number): void {
    this.#first ??= { message, offset };
    this.#count += 1;
    if (this.#count > MAX_ERRORS)
      throw new GivenUp(`more than ${MAX_ERRORS} errors, the first: ${this.#first.message}`, this.#first.offset);
  }
}

/** The library's callback for errors, which it keeps private: it has no option to stop at one. */
type ErrorReport = (source: number | [number, number] | { offset: number }, code: string, message: string, isWarning?: boolean) => void;

/** Counts the errors inside of documents, and drops warnings, which are not shown. */
function limitErrors(composer: Composer, errors: ErrorCount): void {
  const report = composer['onError'] as ErrorReport;
  const limited: ErrorReport = (source, code, message, isWarning) => {
    if (isWarning === true) return;
    const offset = typeof source === 'number' ? source : Array.isArray(source) ? source[0] : source.offset;
    errors.add(message, offset);
    report(source, code, message);
  };
  composer['onError'] = limited;
}

function* tokensOf(text: string, lineCounter: LineCounter, errors: ErrorCount): Generator<CST.Token, void> {
  const parser = new Parser(lineCounter.addNewLine);
  lineCounter.addNewLine(0);
  let lexemes = 0;
  for (const lexeme of new Lexer().lex(text)) {
    lexemes += 1;
    if (lexemes > FREE_TOKENS && lexemes * CHARACTERS_PER_TOKEN > parser.offset) {
      throw new GivenUp(`more than ${FREE_TOKENS} tokens with less than ${CHARACTERS_PER_TOKEN} characters on average`, parser.offset);
    }
    for (const token of parser.next(lexeme)) {
      if (token.type === 'error') errors.add(token.message, token.offset);
      yield token;
    }
    if (parser.stack.length > MAX_DEPTH) throw new GivenUp(`nested more than ${MAX_DEPTH} levels deep`, parser.offset);
  }
  yield* parser.end();
}

/** In place of the document in which a text was given up. */
function unread({ message, offset }: GivenUp): Document.Parsed {
  const document = new Document(null) as Document.Parsed;
  document.range = [offset, offset, offset];
  document.errors.push(new YAMLParseError([offset, offset + 1], 'RESOURCE_EXHAUSTION', `${message}; the rest is not read`));
  return document;
}

/** Adds the first repeated key, and too many aliases, to the errors of a document. */
function checkNodes(document: Document.Parsed): void {
  let aliases = 0;
  let merges = 0;
  let repeated: Scalar | undefined;
  const visit = (node: unknown): void => {
    if (isAlias(node)) aliases += 1;
    if (!isCollection(node)) return;
    const keys = new Set<unknown>();
    for (const item of node.items) {
      if (!isPair(item)) {
        visit(item);
        continue;
      }
      const { key, value } = item;
      // The key is a symbol where merge keys are enabled.
      if (isScalar(key) && typeof key.value === 'symbol') merges += isCollection(value) ? value.items.length : 1;
      if (isScalar(key)) {
        if (keys.has(key.value)) repeated ??= key;
        keys.add(key.value);
      } else visit(key);
      visit(value);
    }
  };
  visit(document.contents);
  if (repeated !== undefined)
    document.errors.push(errorAt(repeated, 'DUPLICATE_KEY', `the key ${JSON.stringify(repeated.value)} is repeated`));
  if (merges > MAX_MERGES) document.errors.push(errorAt(document.contents, 'RESOURCE_EXHAUSTION', `more than ${MAX_MERGES} merges`));
  if (aliases > MAX_ALIASES) document.errors.push(errorAt(document.contents, 'RESOURCE_EXHAUSTION', `more than ${MAX_ALIASES} aliases`));
}

function errorAt(node: Node | null, code: 'DUPLICATE_KEY' | 'RESOURCE_EXHAUSTION', message: string): YAMLParseError {
  const [start, end] = node?.range ?? [0, 1];
  return new YAMLParseError([start, end], code, message);
}
