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

/** Also `%%`. Only what Go's regexp knows, because Helm evaluates the schema of the chart. */
const OPERATOR =
  /^%(?:|REQ\((?::?[-!#$&'*+.^_`|~0-9A-Za-z]+(?:\?(?::?[-!#$&'*+.^_`|~0-9A-Za-z]+)?)?|\?:?[-!#$&'*+.^_`|~0-9A-Za-z]+)\)(?::[0-9]{1,9})?|(?:PROTOCOL|DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT)(?:\(\))?)%$/;

/** Matches every valid format: operators, and text without control characters other than a tab. */
export const HEADER_FORMAT: RegExp = new RegExp(`^(?:[^%\\x00-\\x08\\x0a-\\x1f\\x7f]|${OPERATOR.source.slice(1, -1)})*$`);

/** The format of `text`. @throws TypeError when it is invalid: {@link formatProblem} says why */
export function parseHeaderFormat(text: string): HeaderFormat {
  if (!HEADER_FORMAT.test(text)) throw new TypeError(formatProblem(text));
  const parts = partsOf(text).map((part) => (part.startsWith('%') ? parseOperator(part) : constant(byteString(part))));
  return (context) => parts.map((part) => part(context)).join('');
}

/** Why `text` is no format: it names the first operator that is not supported. */
export function formatProblem(text: string): string {
  const operator = partsOf(text).find((part) => part.startsWith('%') && !OPERATOR.test(part));
  if (operator === undefined) return 'the value of a header contains no control characters';
  return `${JSON.stringify(operator)} is not supported: use %REQ(name)%, %PROTOCOL% or %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%, and %% for a percent sign`;
}

/** Operators from one percent sign to the next, and the text between them. */
function partsOf(text: string): readonly string[] {
  const parts: string[] = [];
  let at = 0;
  while (at < text.length) {
    const isOperator = text[at] === '%';
    const percent = text.indexOf('%', at + 1);
    const end = percent === -1 ? text.length : isOperator ? percent + 1 : percent;
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
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
