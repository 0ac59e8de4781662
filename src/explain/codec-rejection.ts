/*
 * The explanation of a request that the HTTP codec rejects before any policy is evaluated.
 */
import type { Explanation } from './explanation.ts';

/** What the codec replies. */
export interface CodecRejection {
  readonly status: number;
  /** Envoy's response code details. */
  readonly details: string;
  /** What is probably wrong with the request; absent: unknown. */
  readonly hint?: string;
}

/** An explanation with the stage `codec` and without rules. */
export function explainCodecRejection({ status, details, hint }: CodecRejection): Explanation {
  return {
    verdict: { outcome: 'reject', status, details },
    decidedBy: { stage: 'codec', text: `agents reject this request as invalid HTTP/1.1: ${hint ?? details}` },
    dryRun: [],
    authentication: [],
    rules: [],
    caveats: [],
  };
}
