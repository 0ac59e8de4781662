/*
 * Prints what `sallyport diff` has proven: a block of lines for each workload, or plain values with stable member names.
 */
import type { Witness } from '../../analysis/witness.ts';
import { witnessText } from '../../analysis/witness-text.ts';
import type { ExplainedDecision } from '../../explain/diff-decisions.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { METHODS } from '../../http/methods.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { placeToken } from '../input/insert-token.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { isForHttp1 } from '../input/read-over-http2.ts';
import { headerPairs, isPeer, type RequestSpec } from '../input/request-spec.ts';
import { type DirectionName, type PlacedToken, specOf } from '../input/witness-spec.ts';
import { printable } from '../terminal/printable.ts';
import { locatedRule } from './located-rule.ts';

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

/**
 * A finding for each workload that lets in more than before, at the rule that lets the request in, and for each without a proof.
 * @param place for a request that no single rule lets in @param locate `file:line` of a rule
 */
export function newAccessFindings(
  proven: readonly ProvenWorkload[],
  place: string,
  locate: (rule: RuleRef) => string | undefined,
): readonly LocatedFinding[] {
  return proven.flatMap(({ workload, labels, differences, undecided }) => {
    const pod = labels === undefined ? workload : `${workload} (${labelText(labels)})`;
    const widened = differences.filter(({ direction }) => direction === 'widened');
    const missing = undecided.filter(({ direction }) => direction === 'widened' && widened.length === 0);
    return [
      ...widened.map((difference) => {
        const { before, after } = difference;
        const wasRefused = before === undefined ? '' : `; before: ${decisionText(before)}`;
        const found = locatedRule(after?.decidedBy.rule, place, locate);
        return { ...found, code: 'SP_NEW_ACCESS', message: `lets in to ${pod}: ${witnessText(difference.witness)}${wasRefused}` } as const;
      }),
      ...missing.map(({ protocol, reason }) => ({
        ...locatedRule(undefined, place, locate),
        code: 'SP_NOT_PROVEN' as const,
        message: `not decided whether more is let in to ${pod} over ${protocol.toUpperCase()}: ${reason}`,
      })),
    ];
  });
}

/** Labels as on a command line. */
export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map((pair) => pair.join('='))
    .join(',');
}

function differenceLines(difference: ProvenDifference): readonly string[] {
  const { direction, before, after, tokens } = difference;
  const curl = curlLine(difference);
  return [
    `  ${MEANING[direction]}: ${witnessText(difference.witness)}`,
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

/** A request or connection that shows something, with its tokens. */
export type ShownWitness = Pick<ProvenDifference, 'witness' | 'tokens'>;

/** The request with a placeholder for its token. */
function specWithToken({ witness, tokens }: ShownWitness): RequestSpec {
  return tokens.reduce((spec, { place }) => placeToken(spec, TOKEN, place), specOf(witness));
}

/** A command that sends the request; undefined: a TCP connection. `${token}` stands for a token with the claims that are shown. */
export function curlLine(difference: ShownWitness): string | undefined {
  if (difference.witness.protocol === 'tcp') return undefined;
  const { method = 'GET', path = '/', host = 'HOST', headers } = specWithToken(difference);
  const arguments_ = [
    ...(isForHttp1({ method, headers }) ? [] : ['--http2-prior-knowledge']),
    ...(method === 'GET' ? [] : method === 'HEAD' ? ['--head'] : ['--request', METHODS.has(method) ? method : quoted(method)]),
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
  // Tables hold requests over HTTP/1.1.
  if (witness.request.scheme !== undefined || !isForHttp1({ ...rest, headers: pairs })) return undefined;
  return {
    name: `${direction}: ${witnessText(difference.witness)}`,
    request: { ...rest, ...(pairs.length === 0 ? {} : { headers: pairs }) },
    ...(token === undefined ? {} : { token: { claims: token.claims } }),
    expect: before.verdict.outcome,
  };
}

/** The request of a witness as a plain value. */
export function requestValue(witness: Witness): object {
  return { ...specOf(witness), ...(witness.request.peers.length > 1 ? { peers: witness.request.peers } : {}) };
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
        request: requestValue(witness),
        claims: tokens.map(({ claims }) => claims),
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
        ...(curl === undefined ? {} : { curl }),
        ...(test === undefined ? {} : { test }),
      };
    }),
  };
}
