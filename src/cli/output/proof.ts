/*
 * Prints what `sallyport diff` has proven: a block of lines for each workload, or plain values with stable member names.
 */
import type { Witness } from '../../analysis/compare-programs.ts';
import type { ExplainedDecision } from '../../explain/diff-decisions.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { placeToken } from '../input/insert-token.ts';
import { headerPairs, isPeer, type RequestSpec } from '../input/request-spec.ts';
import { type DirectionName, type PlacedToken, specOf } from '../input/witness-spec.ts';
import { printable } from '../terminal/printable.ts';

/** The answer for one workload. */
export type ProvenVerdict = 'same' | 'widened' | 'narrowed' | 'both' | 'undecided';

/** A request or connection that the two sets decide differently. */
export interface ProvenDifference {
  readonly direction: DirectionName;
  readonly witness: Witness;
  readonly tokens: readonly PlacedToken[];
  /** Absent: a TCP connection. */
  readonly before?: ExplainedDecision;
  readonly after?: ExplainedDecision;
}

/** What is proven about one workload. */
export interface ProvenWorkload {
  /** `namespace/kind/name`. */
  readonly workload: string;
  /** Absent: its pods do not differ. */
  readonly labels?: Labels;
  /** The set that has the workload; absent: both. */
  readonly onlyIn?: 'before' | 'after';
  readonly verdict: ProvenVerdict;
  readonly differences: readonly ProvenDifference[];
  readonly undecided: readonly { readonly protocol: 'http' | 'tcp'; readonly direction: DirectionName; readonly reason: string }[];
}

const TOKEN = '${token}';
const MEANING: Readonly<Record<DirectionName, string>> = { widened: 'let in now', narrowed: 'refused now' };

/** The block of one workload, ended by a newline. */
export function formatProof({ workload, labels, onlyIn, verdict, differences, undecided }: ProvenWorkload): string {
  const pods = labels === undefined ? '' : ` (${labelText(labels)})`;
  const set = onlyIn === undefined ? '' : `, only in the set ${onlyIn}`;
  const lines = [
    `${workload}${pods}${set}: ${verdict === 'undecided' ? 'NOT DECIDED' : verdict}`,
    ...differences.flatMap(differenceLines),
    ...undecided.map(
      ({ protocol, direction, reason }) => `  not decided whether ${MEANING[direction]} over ${protocol.toUpperCase()}: ${reason}`,
    ),
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map((pair) => pair.join('='))
    .join(',');
}

function differenceLines(difference: ProvenDifference): readonly string[] {
  const { direction, before, after, tokens } = difference;
  const curl = curlLine(difference);
  return [
    `  ${MEANING[direction]}: ${summaryOf(difference)}`,
    ...(before === undefined ? [] : [`    before: ${decisionText(before)}`]),
    ...(after === undefined ? [] : [`    after:  ${decisionText(after)}`]),
    ...tokens.map(({ claims }) => `    token:  ${JSON.stringify(claims)}`),
    ...(curl === undefined ? [] : [`    ${curl}`]),
  ];
}

function decisionText({ verdict, decidedBy }: ExplainedDecision): string {
  const status = verdict.status === undefined ? '' : ` ${verdict.status}`;
  return `${verdict.outcome}${status}, ${decidedBy.rule === undefined ? decidedBy.text : ruleText(decidedBy.rule)}`;
}

function summaryOf({ witness: { protocol, request, invalidTokenAt } }: ProvenDifference): string {
  const { method, path, host, headers, sourceIp, forwardedFor, destinationIp, port, sni, peers } = request;
  const facts = [
    ...(protocol === 'tcp' ? ['TCP connection'] : [`${method} ${path}`, ...(host === undefined ? [] : [`host ${host}`])]),
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(sourceIp === undefined ? [] : [`from ${sourceIp}`]),
    ...(forwardedFor === undefined ? [] : [`forwarded for ${forwardedFor}`]),
    ...(destinationIp === undefined ? [] : [`to ${destinationIp}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(sni === undefined || sni === '' ? [] : [`SNI ${sni}`]),
    ...peers.map((peer) => `as ${peer}`),
    ...(invalidTokenAt === undefined ? [] : [`an invalid token in ${invalidTokenAt.kind} ${invalidTokenAt.name}`]),
  ];
  return facts.join(', ');
}

/** The request with a placeholder for its token. */
function specWithToken({ witness, tokens }: ProvenDifference): RequestSpec {
  return tokens.reduce((spec, { place }) => placeToken(spec, TOKEN, place), specOf(witness));
}

/** A command that sends the request; undefined: a TCP connection. `${token}` stands for a token with the claims that are shown. */
export function curlLine(difference: ProvenDifference): string | undefined {
  if (difference.witness.protocol === 'tcp') return undefined;
  const { method = 'GET', path = '/', host = 'HOST', headers } = specWithToken(difference);
  const arguments_ = [
    ...(method === 'GET' ? [] : method === 'HEAD' ? ['--head'] : ['--request', method]),
    ...headerPairs(headers).flatMap(([name, value]) => ['--header', quoted(value === '' ? `${name};` : `${name}: ${value}`)]),
    '--path-as-is',
    quoted(`http://${host}${path}`),
  ];
  return `curl ${arguments_.join(' ')}`;
}

/** Double quotes only around the placeholder, so that a shell replaces nothing else. */
function quoted(text: string): string {
  return text
    .split(TOKEN)
    .map((part) => (part === '' ? '' : `'${part.replaceAll("'", `'\\''`)}'`))
    .join(`"${TOKEN}"`);
}

/** An entry for a table of `sallyport test` that expects the decision before; undefined: a table cannot express the request. */
function testEntry(difference: ProvenDifference): object | undefined {
  const { witness, tokens, before, direction } = difference;
  const { peers } = witness.request;
  const [token, second] = tokens;
  if (before === undefined || second !== undefined || peers.length > 1 || !peers.every(isPeer)) return undefined;
  const { headers, ...rest } = specWithToken(difference);
  const pairs = headerPairs(headers);
  return {
    name: `${direction}: ${summaryOf(difference)}`,
    request: { ...rest, ...(pairs.length === 0 ? {} : { headers: pairs }) },
    ...(token === undefined ? {} : { token: { claims: token.claims } }),
    expect: before.verdict.outcome,
  };
}

/** The answer for one workload as a plain value with stable member names. */
export function proofValue({ differences, ...rest }: ProvenWorkload): object {
  return {
    ...rest,
    differences: differences.map((difference) => {
      const { direction, witness, tokens, before, after } = difference;
      const [curl, test] = [curlLine(difference), testEntry(difference)];
      return {
        direction,
        protocol: witness.protocol,
        request: { ...specOf(witness), ...(witness.request.peers.length > 1 ? { peers: witness.request.peers } : {}) },
        claims: tokens.map(({ claims }) => claims),
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
        ...(curl === undefined ? {} : { curl }),
        ...(test === undefined ? {} : { test }),
      };
    }),
  };
}
