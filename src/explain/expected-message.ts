/*
 * Compares the messages that a verdict results in with what a test expects: the agent's reply to the client, or the request that
 * the application gets. Secrets are redacted.
 */
import type { FinalVerdict } from './evaluate-to-end.ts';
import { redactSecrets, redactValue } from './redact.ts';

/** By name in any case: the value, all values in order, or null for an absent header. */
export type ExpectedHeaders = Readonly<Record<string, string | readonly string[] | null>>;

/** The request that the application gets; absent members are not compared. */
export interface ExpectedUpstream {
  readonly method?: string | undefined;
  /** Target with query. */
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly headers?: ExpectedHeaders | undefined;
}

/** The messages; absent members are not compared. */
export interface ExpectedMessages {
  /** Of the agent's reply. */
  readonly headers?: ExpectedHeaders | undefined;
  /** Of the agent's reply. */
  readonly body?: string | undefined;
  readonly upstream?: ExpectedUpstream | undefined;
}

/** One sentence per difference. @param final absent: the codec rejected the request before any verdict */
export function messageDifferences({ headers, body, upstream }: ExpectedMessages, final: FinalVerdict | undefined): readonly string[] {
  const reply = final?.kind === 'reply' ? final : undefined;
  const head = final?.kind === 'forward' ? final.head : undefined;
  const differences: string[] = [];
  if (headers !== undefined || body !== undefined) {
    if (reply === undefined) differences.push(`there is no agent reply to compare: ${replierOf(final)} replies`);
    else differences.push(...headerDifferences('headers', headers ?? {}, reply.headers), ...textDifference('body', body, reply.body));
  }
  if (upstream !== undefined) {
    if (head === undefined) differences.push('the application gets no request');
    else {
      differences.push(
        ...textDifference('upstream.method', upstream.method, head.method),
        ...textDifference('upstream.path', upstream.path, head.target),
        ...textDifference('upstream.host', upstream.host, head.host),
        ...headerDifferences('upstream.headers', upstream.headers ?? {}, head.headers),
      );
    }
  }
  return differences;
}

function replierOf(final: FinalVerdict | undefined): string {
  return final === undefined ? 'the codec' : 'the application';
}

function textDifference(name: string, expected: string | undefined, actual: string): readonly string[] {
  return expected === undefined || expected === actual ? [] : [`${name} is ${redactSecrets(actual)}, expected ${redactSecrets(expected)}`];
}

function headerDifferences(place: string, headers: ExpectedHeaders, flat: readonly string[]): readonly string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    const expected = value === null ? [] : typeof value === 'string' ? [value] : value;
    const actual = flat.filter((_, index) => flat[index - 1]?.toLowerCase() === name.toLowerCase() && index % 2 === 1).map(decodeUtf8);
    if (actual.length === expected.length && actual.every((one, index) => one === expected[index])) return [];
    return [`${place}[${name}] is ${valuesText(name, actual)}, expected ${valuesText(name, expected)}`];
  });
}

/** Codecs represent each byte by one character. */
function decodeUtf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function valuesText(name: string, values: readonly string[]): string {
  return values.length === 0
    ? 'absent'
    : values.map((value) => JSON.stringify(redactValue(`request.headers[${name}]`, value))).join(' and ');
}
