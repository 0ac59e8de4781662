/*
 * The judge's words: one HTTP request in (as bytes split into fields by a codec), one verdict out. The proxy,
 * ext_authz, explain and the conformance replay all call `createFilterChain` and obey what it says, so that what is judged is
 * what is forwarded.
 */

import type { RawHead } from '../http/normalize/raw-head.ts';
import type { CustomMatch, Decision } from '../policy/decide/decision.ts';
import type { ConnectionFacts } from '../policy/facts.ts';
import type { Provenance } from '../policy/model/program.ts';
import type { HeaderChange } from './header-changes.ts';

/** A request as a codec hands it over: syntax checked, nothing normalised; over HTTP/2 without pseudo headers. */
export interface RawRequest extends RawHead {
  /** The request announces a body (content-length > 0 or chunked). */
  readonly hasBody: boolean;
}

/** The request head that the upstream gets. */
export interface ForwardHead {
  readonly method: string;
  readonly target: string;
  /** Value of Host / `:authority`. */
  readonly host: string;
  /** Flat, lower-case names, hop-by-hop fields and Host left out. */
  readonly headers: readonly string[];
  /** `upgrade: websocket` was asked for and is to be forwarded. */
  readonly upgrade: string;
}

/** What the access log and metrics say of a verdict. */
export interface VerdictLog {
  readonly outcome: 'allow' | 'deny' | 'unauthenticated' | 'reject';
  /** Envoy's response code details, e.g. `rbac_access_denied_matched_policy[none]`; `''` when forwarded. */
  readonly details: string;
  readonly host: string;
  /** Normalised path without query. */
  readonly path: string;
  /** `iss/sub` of the verified token, else `''`. */
  readonly principal: string;
  readonly decision?: Decision;
  /** The JWT rule that accepted or refused the token. */
  readonly jwtRule?: Provenance;
}

export type Verdict =
  | {
      readonly kind: 'forward';
      readonly head: ForwardHead;
      /** To be made to the head of whatever answers the request. Absent: none. */
      readonly downstreamHeaders?: readonly HeaderChange[];
      readonly log: VerdictLog;
    }
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly body: string;
      /** The body where it is no UTF-8 text, and `body` therefore only resembles it. */
      readonly octets?: Uint8Array;
      /** Flat list in wire order, without content-length, date and server, which the codec adds. */
      readonly headers: readonly string[];
      /** The connection must be closed after the reply. */
      readonly close: boolean;
      readonly log: VerdictLog;
    }
  /**
   * An external authorizer must be asked first; `resume` takes its answer and goes on with the rest of the pipeline, which
   * may be the check of another authorizer.
   */
  | {
      readonly kind: 'check';
      /** What to ask: one step, which has a provider. */
      readonly matches: readonly CustomMatch[];
      /** As policies see it now: prepared, and changed by the authorizers that were asked before. */
      readonly request: ForwardHead;
      /** `http` or `https`. */
      readonly scheme: string;
      readonly version: RawRequest['version'];
      readonly connection: ConnectionFacts;
      resume(answer: CheckAnswer): Verdict;
      readonly log: VerdictLog;
    };

/** Answer of an external authorizer. Header names are in lower case, values latin1 text that fits on one line each. */
export type CheckAnswer =
  | {
      readonly kind: 'allow';
      /** Flat: name, value …; replaces every instance of the name. */
      readonly setHeaders: readonly string[];
      readonly removeHeaders: readonly string[];
      /** Flat; each value is joined by a comma to a header that the request has, else left out. Applied between setting and removing. */
      readonly appendHeaders?: readonly string[];
      /** Flat; replaces all query parameters of the name. */
      readonly setQuery?: readonly string[];
      readonly removeQuery?: readonly string[];
      /** Changes of the client's response, whoever makes it. */
      readonly downstreamHeaders?: readonly HeaderChange[];
    }
  | {
      readonly kind: 'deny';
      readonly status: number;
      readonly body: string;
      /** The body where it is no UTF-8 text. */
      readonly octets?: Uint8Array;
      readonly headers: readonly string[];
      /** Response code details; absent: `ext_authz_denied`. */
      readonly details?: string;
    }
  /** `details` absent: `ext_authz_error`. */
  | { readonly kind: 'error'; readonly status: number; readonly details?: string };

/** Judges requests under one program and its key sets. */
export interface RequestFilterChain {
  /** @param nowSeconds whole Unix seconds. Never throws: a bug inside denies (403) and is reported through the log. */
  evaluate(request: RawRequest, nowSeconds: number): Verdict;
}
