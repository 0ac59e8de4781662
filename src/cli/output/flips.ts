/*
 * Flipped decisions for people and for programs. In: flips with their requests. Out: a table, or plain values.
 */
import { type Flip, type Judged, pairFlips } from '../../explain/diff-decisions.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { withoutSecrets } from '../../explain/secrets.ts';
import type { RawRequest } from '../../judge/verdict.ts';
import type { Json } from '../../policy/request/facts.ts';
import { requestText } from './explanation.ts';
import { type Cell, formatTable } from './table.ts';

export interface ShownFlip {
  /** `namespace/name`. */
  readonly workload: string;
  readonly flip: Flip;
  readonly request: RawRequest;
  /** Of a token that was signed for the run. */
  readonly claims: Readonly<Record<string, Json>> | undefined;
}

/** One row for each pair of what decided before and after, with the first of its requests; empty text when nothing flips. */
export function formatFlips(flips: readonly ShownFlip[], stream: NodeJS.WritableStream): string {
  if (flips.length === 0) return '';
  const rows = pairShownFlips(flips).map(({ count, example: { workload, flip, request, claims } }): readonly Cell[] => [
    String(count),
    workload,
    `${requestText(request)} (${flip.index})`,
    claims === undefined ? '' : JSON.stringify(claims),
    verdictCell(flip.before),
    verdictCell(flip.after),
    `${reasonOf(flip.before)} -> ${reasonOf(flip.after)}`,
  ]);
  return formatTable(['FLIPS', 'WORKLOAD', 'FIRST REQUEST (INDEX)', 'CLAIMS', 'BEFORE', 'AFTER', 'BECAUSE'], rows, stream);
}

interface ShownPair {
  readonly count: number;
  readonly example: ShownFlip;
}

/** The commonest first. */
function pairShownFlips(flips: readonly ShownFlip[]): readonly ShownPair[] {
  const pairs = [...Map.groupBy(flips, ({ workload }) => workload).values()].flatMap((own) => {
    const shownByFlip = new Map(own.map((shown) => [shown.flip, shown]));
    return pairFlips([...shownByFlip.keys()]).map(({ count, example }) => ({ count, example: shownByFlip.get(example) as ShownFlip }));
  });
  return pairs.toSorted((one, other) => other.count - one.count);
}

/** What `-o json` prints: every flip, and the pairs that they come down to. */
export function flipsValue(requests: number, flips: readonly ShownFlip[]): unknown {
  const pairs = pairShownFlips(flips).map(({ count, example }) => ({ count, first: flipValue(example) }));
  return { requests, pairs, flips: flips.map(flipValue) };
}

/** A flip with stable member names. The Authorization header and other headers are not repeated. */
function flipValue({ workload, flip, request, claims }: ShownFlip): unknown {
  const { index, before, after } = flip;
  const { method, target } = request;
  return { index, workload, method, target: withoutSecrets(target), ...(claims === undefined ? {} : { claims }), before, after };
}

function verdictCell({ verdict }: Judged): Cell {
  const text = verdict.status === undefined ? verdict.outcome : `${verdict.outcome} ${verdict.status}`;
  return { text, style: verdict.outcome === 'allow' ? 'green' : 'red' };
}

function reasonOf({ decidedBy }: Judged): string {
  return decidedBy.rule === undefined ? decidedBy.text : ruleText(decidedBy.rule);
}
