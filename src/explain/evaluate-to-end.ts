/*
 * Evaluates a request with the agent's own filter chain and assumes the responses of external authorizers, which are not called.
 */
import type { KeySet } from '../bundle/bundle.ts';
import { CHECK_ALLOWED, type CheckResponse, checkDenied } from '../filters/check-response.ts';
import { createFilterChain, type FilterChain } from '../filters/filter-chain.ts';
import type { Verdict } from '../filters/verdict.ts';
import type { RawRequest } from '../http/heads.ts';
import type { Program } from '../policy/model/program.ts';

/** What is enforced on a workload, as in its bundle. */
export interface Enforced {
  readonly program: Program;
  /** By `JwtProvider.keySet`; a JWT rule without its key set refuses every token. */
  readonly keySets: Readonly<Record<string, KeySet>>;
  /** The key sets are those of a published bundle: agents lack what is missing. Absent: they are those that are known here. */
  readonly isPublished?: boolean;
}

/** The assumed response of every external authorizer. */
export type AssumedResponse = 'allow' | 'deny';

/** A verdict that waits for nothing. */
export type FinalVerdict = Exclude<Verdict, { readonly kind: 'check' | 'verify' }>;

const RESPONSES: Readonly<Record<AssumedResponse, CheckResponse>> = { allow: CHECK_ALLOWED, deny: checkDenied(403, '') };

/** The filter chain of a workload. Unlike in an agent, an internal error is thrown and not turned into a verdict. */
export function createExplainedChain({ program, keySets }: Enforced): FilterChain {
  return createFilterChain(program, keySets, {
    onBug(error) {
      throw error;
    },
  });
}

/**
 * The final verdict on `request`, and the extension providers that an agent would have called, in order.
 * @param nowSeconds whole Unix seconds @throws internal errors of the chain
 */
export function evaluateToEnd(
  chain: FilterChain,
  request: RawRequest,
  nowSeconds: number,
  response: AssumedResponse,
): { readonly final: FinalVerdict; readonly providers: readonly string[] } {
  const providers: string[] = [];
  let verdict = chain.evaluate(request, nowSeconds);
  while (verdict.kind === 'check' || verdict.kind === 'verify') {
    if (verdict.kind === 'check') providers.push(verdict.provider.name);
    verdict = verdict.kind === 'check' ? verdict.resume(RESPONSES[response]) : verdict.resume();
  }
  return { final: verdict, providers };
}
