/*
 * Groups requests whose decision differs between two policy sets ("flips") by the two rules that decided, and prints the groups.
 * Only the first examples of a group are kept, so that memory does not grow with the number of flips.
 */
import type { ExplainedDecision, Flip } from '../../explain/diff-decisions.ts';
import type { RuleRef } from '../../explain/explanation.ts';
import { redactSecrets } from '../../explain/redact.ts';
import { ruleText } from '../../explain/rule-ref.ts';
import type { RawRequest } from '../../http/heads.ts';
import type { Json } from '../../policy/facts.ts';
import { requestText } from '../terminal/printable.ts';
import { type Cell, formatTable } from './table.ts';

/** A request whose decision differs. */
export interface FlippedRequest {
  /** Position among the requests, from 0. */
  readonly index: number;
  readonly request: RawRequest;
  /** Of a token that was signed for the run; undefined: none was. */
  readonly claims: Readonly<Record<string, Json>> | undefined;
}

/** Requests of one workload that flip between the same outcomes by the same two rules. */
export interface FlipGroup {
  /** `namespace/kind/name`. */
  readonly workload: string;
  readonly before: ExplainedDecision;
  readonly after: ExplainedDecision;
  readonly count: number;
  /** The first ones; never empty. */
  readonly examples: readonly FlippedRequest[];
}

/** Collects flips into groups. */
export interface FlipGroups {
  readonly add: (workload: string, flip: Flip, request: FlippedRequest) => void;
  /** The groups so far, largest first. */
  readonly groups: () => readonly FlipGroup[];
}

/** An empty collection. @param maxExamples number of requests to keep per group, at least 1 */
export function createFlipGroups(maxExamples: number): FlipGroups {
  const groupByKind = new Map<string, FlipGroup & { count: number; readonly examples: FlippedRequest[] }>();
  return {
    add(workload, flip, request) {
      const kind = `${workload} ${flip.kind}`;
      const group = groupByKind.get(kind);
      if (group === undefined) {
        groupByKind.set(kind, { workload, ...flip.explain(), count: 1, examples: [request] });
        return;
      }
      group.count += 1;
      if (group.examples.length < maxExamples) group.examples.push(request);
    },
    groups: () => [...groupByKind.values()].toSorted((one, other) => other.count - one.count),
  };
}

/** A table with one row per example; the first row of a group has what its examples share. `''` when there are no groups. */
export function formatFlips(groups: readonly FlipGroup[], stream: NodeJS.WritableStream): string {
  if (groups.length === 0) return '';
  const rows = groups.flatMap(({ workload, before, after, count, examples }) =>
    examples.map(({ index, request, claims }, at): readonly Cell[] => [
      ...(at === 0 ? [String(count), workload, verdictCell(before), verdictCell(after)] : ['', '', '', '']),
      at === 0 ? `${decisionReason(before)} -> ${decisionReason(after)}` : '',
      `#${index} ${requestText(request)}`,
      claims === undefined ? '' : JSON.stringify(claims),
    ]),
  );
  return formatTable(['FLIPS', 'WORKLOAD', 'BEFORE', 'AFTER', 'REASON', 'EXAMPLE', 'CLAIMS'], rows, stream);
}

/** A table of the rules that no request reached; `''` for an empty array. */
export function formatNotReached(
  rules: readonly { readonly workload: string; readonly side: string; readonly rule: RuleRef }[],
  stream: NodeJS.WritableStream,
): string {
  if (rules.length === 0) return '';
  const rows = rules.map(({ workload, side, rule }): readonly Cell[] => [ruleText(rule), side, workload]);
  return formatTable(['RULES NOT REACHED BY ANY REQUEST', 'SIDE', 'WORKLOAD'], rows, stream);
}

/** A group as a plain value with stable member names. Headers are left out, because they may hold credentials. */
export function flipGroupValue({ workload, before, after, count, examples }: FlipGroup): unknown {
  return {
    workload,
    count,
    before,
    after,
    examples: examples.map(({ index, request: { method, target }, claims }) => ({
      index,
      method,
      target: redactSecrets(target),
      ...(claims === undefined ? {} : { claims }),
    })),
  };
}

function verdictCell({ verdict }: ExplainedDecision): Cell {
  const text = verdict.status === undefined ? verdict.outcome : `${verdict.outcome} ${verdict.status}`;
  return { text, style: verdict.outcome === 'allow' ? 'green' : 'red' };
}

function decisionReason({ decidedBy }: ExplainedDecision): string {
  return decidedBy.rule === undefined ? decidedBy.text : ruleText(decidedBy.rule);
}
