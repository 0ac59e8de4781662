/*
 * Flipped decisions for people and for programs, gathered by the two rules that decided. In: flips with their requests. Out: a
 * table, or plain values. However many flips there are, only the examples of each group are kept.
 */
import type { Flip, Judged } from '../../explain/diff-decisions.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import { withoutSecrets } from '../../explain/secrets.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { Json } from '../../policy/facts.ts';
import { requestText } from './explanation.ts';
import { type Cell, formatTable } from './table.ts';

/** A request whose decision flips. */
export interface FlippedRequest {
  /** Position in the requests, from 0. */
  readonly index: number;
  readonly request: RawRequest;
  /** Of a token that was signed for the run. */
  readonly claims: Readonly<Record<string, Json>> | undefined;
}

export interface FlipGroup {
  /** `namespace/name`. */
  readonly workload: string;
  readonly before: Judged;
  readonly after: Judged;
  readonly count: number;
  /** The first ones; never empty. */
  readonly examples: readonly FlippedRequest[];
}

export interface FlipGroups {
  readonly add: (workload: string, flip: Flip, request: FlippedRequest) => void;
  /** Those with most flips first. */
  readonly groups: () => readonly FlipGroup[];
}

/** Gathers flips. @param maxExamples how many requests of each group to keep, at least 1 */
export function createFlipGroups(maxExamples: number): FlipGroups {
  const byKind = new Map<string, FlipGroup & { count: number; readonly examples: FlippedRequest[] }>();
  return {
    add(workload, flip, request) {
      const kind = `${workload} ${flip.kind}`;
      const known = byKind.get(kind);
      if (known === undefined) {
        byKind.set(kind, { workload, ...flip.explain(), count: 1, examples: [request] });
        return;
      }
      known.count += 1;
      if (known.examples.length < maxExamples) known.examples.push(request);
    },
    groups: () => [...byKind.values()].toSorted((one, other) => other.count - one.count),
  };
}

/** One row per example, the first of each group with what is common to it; empty text when there are none. */
export function formatFlips(groups: readonly FlipGroup[], stream: NodeJS.WritableStream): string {
  if (groups.length === 0) return '';
  const rows = groups.flatMap(({ workload, before, after, count, examples }) =>
    examples.map(({ index, request, claims }, at): readonly Cell[] => [
      ...(at === 0 ? [String(count), workload, verdictCell(before), verdictCell(after)] : ['', '', '', '']),
      at === 0 ? `${reasonOf(before)} -> ${reasonOf(after)}` : '',
      `#${index} ${requestText(request)}`,
      claims === undefined ? '' : JSON.stringify(claims),
    ]),
  );
  return formatTable(['FLIPS', 'WORKLOAD', 'BEFORE', 'AFTER', 'BECAUSE', 'EXAMPLE', 'CLAIMS'], rows, stream);
}

/** A group with stable member names. The Authorization header and other headers are not repeated. */
export function flipGroupValue({ workload, before, after, count, examples }: FlipGroup): unknown {
  return {
    workload,
    count,
    before,
    after,
    examples: examples.map(({ index, request: { method, target }, claims }) => ({
      index,
      method,
      target: withoutSecrets(target),
      ...(claims === undefined ? {} : { claims }),
    })),
  };
}

function verdictCell({ verdict }: Judged): Cell {
  const text = verdict.status === undefined ? verdict.outcome : `${verdict.outcome} ${verdict.status}`;
  return { text, style: verdict.outcome === 'allow' ? 'green' : 'red' };
}

function reasonOf({ decidedBy }: Judged): string {
  return decidedBy.rule === undefined ? decidedBy.text : ruleText(decidedBy.rule);
}
