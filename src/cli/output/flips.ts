/*
 * Flipped decisions for people and for programs. In: flips with their requests. Out: a table, or plain values.
 */
import type { Flip, Judged } from '../../explain/diff-decisions.ts';
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

/** One row per flip; empty text when there are none. */
export function formatFlips(flips: readonly ShownFlip[], stream: NodeJS.WritableStream): string {
  if (flips.length === 0) return '';
  const rows = flips.map(({ workload, flip, request, claims }): readonly Cell[] => [
    String(flip.index),
    workload,
    requestText(request),
    claims === undefined ? '' : JSON.stringify(claims),
    verdictCell(flip.before),
    verdictCell(flip.after),
    `${reasonOf(flip.before)} -> ${reasonOf(flip.after)}`,
  ]);
  return formatTable(['#', 'WORKLOAD', 'REQUEST', 'CLAIMS', 'BEFORE', 'AFTER', 'BECAUSE'], rows, stream);
}

/** A flip with stable member names. The Authorization header and other headers are not repeated. */
export function flipValue({ workload, flip, request, claims }: ShownFlip): unknown {
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
