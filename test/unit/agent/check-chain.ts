/*
 * Filter chains with ext_authz checks for the tests of the exchange.
 */

import { CHECK_ALLOWED, type CheckResponse } from '../../../src/filters/check-response.ts';
import type { FilterChain } from '../../../src/filters/filter-chain.ts';
import type { Verdict } from '../../../src/filters/verdict.ts';
import type { HeaderChange } from '../../../src/http/header-changes.ts';
import { httpChain } from '../filters/chains.ts';
import { checkOf, providerOf } from './ext-authz/checks.ts';
import { headOf, logOf } from './loopback.ts';

/** Allows and changes nothing. */
export const ALLOW: CheckResponse = CHECK_ALLOWED;

/** What a provider wants of the body. */
export interface Limits {
  readonly maxRequestBytes: number;
  readonly allowPartialMessage: boolean;
  readonly packAsBytes: boolean;
}

/** The whole body, up to this size. */
export const whole = (maxRequestBytes: number): Limits => ({ maxRequestBytes, allowPartialMessage: false, packAsBytes: false });
/** The first bytes of the body. */
export const partial = (maxRequestBytes: number): Limits => ({ ...whole(maxRequestBytes), allowPartialMessage: true });

/** A filter chain that has a check for each of `limits`, one after the other, then forwards. Undefined: the provider wants no body. */
export function chainWithChecks(limits: readonly (Limits | undefined)[], downstreamHeaders: readonly HeaderChange[] = []): FilterChain {
  return httpChain((request): Verdict => {
    const step = (index: number): Verdict => {
      if (index === limits.length) return { kind: 'forward', head: headOf(request), downstreamHeaders, log: logOf('allow') };
      const limit = limits[index];
      const check = checkOf(providerOf(1, limit === undefined ? {} : { includeRequestBodyInCheck: limit }), headOf(request));
      return {
        ...check,
        resume: (response: CheckResponse) =>
          response.kind === 'allow' ? step(index + 1) : { ...response, headers: [], log: logOf('deny') },
      };
    };
    return step(0);
  });
}
