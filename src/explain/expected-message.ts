/*
 * What goes out of the agent, compared with what a test asks for. In: the judge's final verdict and the wish. Out: one
 * sentence per difference, without secrets. Called for every test that has expectations of messages.
 */
import type { Verdict } from '../filters/verdict.ts';
import { shownValue, withoutSecrets } from './secrets.ts';

/** By name in any case: the value, all values in order, or null: the field is not there. */
export type ExpectedHeaders = Readonly<Record<string, string | readonly string[] | null>>;

/** What the application gets; absent members are not looked at. */
export interface ExpectedUpstream {
  readonly method?: string | undefined;
  /** Target with query. */
  readonly path?: string | undefined;
  readonly host?: string | undefined;
  readonly headers?: ExpectedHeaders | undefined;
}

/** What the client gets of the agent itself, or the application of the agent. */
export interface ExpectedMessages {
  /** Of the agent's own reply. */
  readonly headers?: ExpectedHeaders | undefined;
  /** Of the agent's own reply. */
  readonly body?: string | undefined;
  readonly upstream?: ExpectedUpstream | undefined;
}

/** A verdict after which nothing is asked any more. */
export type FinalVerdict = Exclude<Verdict, { readonly kind: 'check' }>;

/** One sentence per difference. @param final absent: the codec refused the request before any verdict */
export function messageDifferences({ headers, body, upstream }: ExpectedMessages, final: FinalVerdict | undefined): readonly string[] {
  const reply = final?.kind === 'reply' ? final : undefined;
  const head = final?.kind === 'forward' ? final.head : undefined;
  const differences: string[] = [];
  if (headers !== undefined || body !== undefined) {
    if (reply === undefined) differences.push(`there is no reply of an agent to compare: ${absence(final)}`);
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

function absence(final: FinalVerdict | undefined): string {
  return final === undefined ? 'the codec answers' : 'the application answers';
}

function textDifference(name: string, wanted: string | undefined, got: string): readonly string[] {
  return wanted === undefined || wanted === got ? [] : [`${name} is ${withoutSecrets(got)}, expected ${withoutSecrets(wanted)}`];
}

function headerDifferences(place: string, wanted: ExpectedHeaders, flat: readonly string[]): readonly string[] {
  return Object.entries(wanted).flatMap(([name, value]) => {
    const expected = value === null ? [] : typeof value === 'string' ? [value] : value;
    const seen = flat.filter((_, index) => flat[index - 1]?.toLowerCase() === name.toLowerCase() && index % 2 === 1).map(utf8Of);
    if (seen.length === expected.length && seen.every((one, index) => one === expected[index])) return [];
    return [`${place}[${name}] is ${shown(name, seen)}, expected ${shown(name, expected)}`];
  });
}

/** Codecs carry one octet a character. */
function utf8Of(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf8');
}

function shown(name: string, values: readonly string[]): string {
  return values.length === 0
    ? 'absent'
    : values.map((value) => JSON.stringify(shownValue(`request.headers[${name}]`, value))).join(' and ');
}
