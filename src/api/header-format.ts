/*
 * Values of request headers with Envoy's format operators, as `includeAdditionalHeadersInCheck` takes them: `%REQ(name?other):3%`,
 * `%PROTOCOL%`, `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`, and `%%` for a percent sign. Compared with Envoy 1.40.
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#format-strings
 */

/** What the operators read. */
export interface FormatContext {
  /** The first value of a header or pseudo header (lower case); `undefined`: absent. */
  header(name: string): string | undefined;
  /** For example `HTTP/1.1`. */
  readonly protocol: string;
  /** Address of the client, without a port. */
  readonly remoteAddress: string;
}

/** A parsed format. An absent header is an empty string. */
export type HeaderFormat = (context: FormatContext) => string;

const NAME = ":?[-!#$&'*+.^_`|~0-9A-Za-z]+";
/** Only what Go's regexp knows, because Helm evaluates the schema of the chart. */
const OPERATOR = `%(?:%|REQ\\((?:(?:${NAME})(?:\\?(?:${NAME})?)?|\\?(?:${NAME}))\\)(?::[0-9]{1,9})?%|(?:PROTOCOL|DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT)(?:\\(\\))?%)`;
const TEXT = '[^%\\x00-\\x08\\x0a-\\x1f\\x7f]';

/** Matches every valid format. */
export const HEADER_FORMAT: RegExp = new RegExp(`^(?:${TEXT}|${OPERATOR})*$`);

const PART = new RegExp(`${TEXT}+|${OPERATOR}`, 'y');

/** The format of `text`. @throws TypeError when it is invalid: {@link formatProblem} says why */
export function parseHeaderFormat(text: string): HeaderFormat {
  const parts: HeaderFormat[] = [];
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const part = PART.exec(text)?.[0];
    if (part === undefined) throw new TypeError(formatProblem(text));
    parts.push(part.startsWith('%') ? parseOperator(part) : constant(byteString(part)));
  }
  return (context) => parts.map((part) => part(context)).join('');
}

/** Why `text` is no format: it names the first operator that is not supported. */
export function formatProblem(text: string): string {
  PART.lastIndex = 0;
  let at = 0;
  while (PART.test(text)) at = PART.lastIndex;
  const operator = /^%[^%]*%?/.exec(text.slice(at))?.[0];
  if (operator === undefined) return 'the value of a header contains no control characters';
  return `${JSON.stringify(operator)} is not supported: use %REQ(name)%, %PROTOCOL% or %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%, and %% for a percent sign`;
}

function parseOperator(operator: string): HeaderFormat {
  if (operator === '%%') return constant('%');
  if (operator.startsWith('%PROTOCOL')) return ({ protocol }) => protocol;
  if (operator.startsWith('%DOWNSTREAM')) return ({ remoteAddress }) => remoteAddress;
  const [main = '', other = ''] = operator.slice('%REQ('.length, operator.lastIndexOf(')')).toLowerCase().split('?');
  const length = /:([0-9]+)%$/.exec(operator)?.[1];
  // An empty header is present: only an absent one falls back.
  return (context) => (context.header(main) ?? context.header(other) ?? '').slice(0, length === undefined ? undefined : Number(length));
}

function constant(text: string): HeaderFormat {
  return () => text;
}

/** One character per byte of UTF-8, as on the wire. */
function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
