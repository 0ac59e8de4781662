/*
 * The explanation of what never gets to a policy. In: what the codec answers. Out: an explanation like any other.
 */
import type { Explanation } from './explanation.ts';

export interface Refused {
  readonly status: number;
  readonly details: string;
  /** What is wrong with it, as far as can be told. */
  readonly hint?: string;
}

/** A request that the HTTP codec itself refuses. */
export function codecRefusal({ status, details, hint }: Refused): Explanation {
  return {
    verdict: { outcome: 'reject', status, details },
    decidedBy: { stage: 'codec', text: `no agent takes this request for HTTP/1.1: ${hint ?? details}` },
    dryRun: [],
    authentication: [],
    rules: [],
    caveats: [],
  };
}
