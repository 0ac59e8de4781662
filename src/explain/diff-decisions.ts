/*
 * Two sets of policies over one corpus. In: what is enforced before and after, and requests. Out: the requests whose verdict
 * flips, with what decided on either side. Called by the command `diff`.
 */
import { createJudge, type WorkloadJudge } from '../judge/judge.ts';
import type { RawRequest, Verdict } from '../judge/verdict.ts';
import { type Enforced, explainVerdict } from './explain-request.ts';
import type { DecidedBy, ExplainedVerdict } from './explanation.ts';

export interface Judged {
  readonly verdict: ExplainedVerdict;
  readonly decidedBy: DecidedBy;
}

export interface Flip {
  /** Position in the corpus, from 0. */
  readonly index: number;
  readonly before: Judged;
  readonly after: Judged;
}

export interface Sides {
  readonly before: Enforced;
  readonly after: Enforced;
}

/** Requests between two calls of `onProgress`. */
const STEP = 500;

/**
 * The flips among `requests`: another outcome, or another status of the reply. Each request is judged once a side; only flips are explained.
 * @param nowSeconds whole Unix seconds, the same for both sides
 * @param onProgress told now and then how many requests are done
 */
export function diffDecisions(
  sides: Sides,
  requests: readonly RawRequest[],
  nowSeconds: number,
  onProgress: (done: number) => void = () => {},
): readonly Flip[] {
  const before = judgeOf(sides.before);
  const after = judgeOf(sides.after);
  return requests.flatMap((request, index) => {
    if (index % STEP === 0) onProgress(index);
    if (outcomeOf(before, request, nowSeconds) === outcomeOf(after, request, nowSeconds)) return [];
    return [{ index, before: explained(sides.before, request, nowSeconds), after: explained(sides.after, request, nowSeconds) }];
  });
}

function judgeOf({ program, keySets }: Enforced): WorkloadJudge {
  return createJudge(program, keySets, {
    onBug(error) {
      throw error;
    },
  });
}

/** Flips from one rule, or reason, to another. */
export interface FlipPair {
  readonly before: Judged;
  readonly after: Judged;
  readonly count: number;
  /** The first of them. */
  readonly example: Flip;
}

/** Flips by outcome, status and what decided on either side; the commonest first. */
export function pairFlips(flips: readonly Flip[]): readonly FlipPair[] {
  const groups = Map.groupBy(flips, ({ before, after }) => `${pairKey(before)} -> ${pairKey(after)}`);
  const pairs = Array.from(groups.values(), (all): FlipPair => {
    const [example] = all as [Flip];
    return { before: example.before, after: example.after, count: all.length, example };
  });
  return pairs.toSorted((one, other) => other.count - one.count);
}

function pairKey({ verdict: { outcome, status }, decidedBy: { stage, rule, reason } }: Judged): string {
  return JSON.stringify([outcome, status, stage, rule, reason]);
}

function outcomeOf(judge: WorkloadJudge, request: RawRequest, nowSeconds: number): string {
  let verdict: Verdict = judge.judge(request, nowSeconds);
  let asked = '';
  while (verdict.kind === 'check') {
    // An authorizer that is asked on one side only is a difference, for it may say no.
    asked = `${asked} ${verdict.matches.map(({ step }) => step.name).join(' ')}`;
    verdict = verdict.resume({ kind: 'allow', setHeaders: [], removeHeaders: [] });
  }
  return `${verdict.log.outcome} ${verdict.kind === 'reply' ? verdict.status : ''}${asked}`;
}

function explained(enforced: Enforced, request: RawRequest, nowSeconds: number): Judged {
  const { verdict, decidedBy, caveats } = explainVerdict(enforced, request, nowSeconds);
  const [note] = caveats;
  return { verdict, decidedBy: note === undefined ? decidedBy : { ...decidedBy, text: `${decidedBy.text}; ${note}` } };
}
