/*
 * Hostile texts of any length: each character class, sequences that patterns of the product begin or end with, and alternations.
 */

/** Makes a text of about `length` characters. */
export type Shape = (length: number) => string;

const CHARACTERS: Readonly<Record<string, string>> = {
  letters: 'a',
  capitals: 'A',
  digits: '0',
  zeros: '1',
  dashes: '-',
  dots: '.',
  underscores: '_',
  slashes: '/',
  backslashes: '\\',
  stars: '*',
  braces: '{',
  'closing braces': '}',
  brackets: '[',
  'closing brackets': ']',
  parentheses: '(',
  'closing parentheses': ')',
  bars: '|',
  'question marks': '?',
  hashes: '#',
  'percent signs': '%',
  quotes: '"',
  apostrophes: "'",
  colons: ':',
  semicolons: ';',
  commas: ',',
  'equals signs': '=',
  ampersands: '&',
  'at signs': '@',
  plus: '+',
  carets: '^',
  dollars: '$',
  'angle brackets': '<',
  exclamations: '!',
  tildes: '~',
  backticks: '`',
  spaces: ' ',
  tabs: '\t',
  newlines: '\n',
  'carriage returns': '\r\n',
  'control characters': '\u0001',
  'C1 control characters': '\u0085',
  accents: 'é',
  emoji: '😀',
  'line separators': '\u2028',
  'lone surrogates': '\ud800',
};

/** Two or more characters that begin, separate or end something. */
const SEQUENCES: Readonly<Record<string, string>> = {
  'words and dashes': 'a-',
  'dashes and dots': '-.',
  'dashes and digits': '-1',
  segments: '/a',
  'parent directories': '/..',
  escapes: '%2F',
  'short escapes': '%4',
  templates: '/{*}',
  'open templates': '/{**}/a',
  'bracketed names': '[a]',
  'open choices': '(a|',
  choices: '(a|b)',
  'commas and spaces': ' , ',
  'spaces and newlines': ' \n',
  'newlines and hashes': '\n#',
  schemes: '://',
  URLs: 'http://a',
  addresses: '1.1.1.1,',
  'IPv6 groups': '1:',
  'open tokens': 'eyJa-',
  tokens: 'eyJa.',
  schemed: 'Bearer a',
  parameters: '&a=b',
  secrets: '?token=a',
  cookies: ' a=b;',
  'header lines': 'a: b\r\n',
  'escaped quotes': '\\"',
  'regular expressions': '\\d{',
  'classes of characters': '[^a',
  durations: '1s',
  attributes: 'request.headers[',
  messages: 'Invalid value: "',
  'spiffe identities': 'spiffe://a/ns/',
  'YAML lists': '- ',
  'YAML items': '\n- a',
  'YAML mappings': '\na: b',
  'YAML flow lists': '[a,',
  'YAML aliases': ' &a *a',
  'YAML documents': '\n---\na: b',
  'JSON arrays': '[1,',
  'JSON objects': '{"a":',
  'workflow commands': '\n::error::',
  styles: '\u001b[1m',
};

const repeated =
  (piece: string, end: string): Shape =>
  (length) =>
    piece.repeat(Math.ceil(length / piece.length)) + end;

/** Every shape by its name: each piece again and again, with an end that makes a match fail late. */
export const SHAPES: Readonly<Record<string, Shape>> = Object.fromEntries(
  Object.entries({ ...CHARACTERS, ...SEQUENCES }).flatMap(([name, piece]) => [
    [`${name}, then a letter`, repeated(piece, 'x')],
    [`${name}, then a line break and more`, repeated(piece, `\n${piece}`)],
  ]),
);
