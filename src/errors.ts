/*
 * The three families of faults and the closed union of their codes. In: nothing. Out: `Finding` values for the user's
 * mistakes (never thrown), `TransientError` for what a retry may mend, `InvariantError` for bugs. Every room uses them.
 */

/** Every code the product reports. A code is stable: dashboards, tests and `docs/reference/errors.md` name it. */
export type ErrorCode =
  // findings on the user's objects
  | 'SP_SCHEMA'
  | 'SP_CEL'
  | 'SP_SELECTOR'
  | 'SP_TARGET_REF'
  | 'SP_JWT_RULE'
  | 'SP_JWKS'
  | 'SP_JWKS_UNAVAILABLE'
  | 'SP_POLICY'
  | 'SP_VALUE'
  | 'SP_PATH'
  | 'SP_WHEN'
  | 'SP_PROVIDER'
  | 'SP_ANNOTATION'
  | 'SP_NEEDS_PEER_IDENTITY'
  | 'SP_SELECTS_NOTHING'
  | 'SP_NO_AGENT'
  | 'SP_TOO_LARGE'
  | 'SP_MANIFEST'
  // faults of the bundle
  | 'SP_BUNDLE_UNREADABLE'
  | 'SP_BUNDLE_TOO_LARGE'
  | 'SP_BUNDLE_SCHEMA'
  | 'SP_BUNDLE_DIGEST'
  | 'SP_BUNDLE_FOREIGN'
  // faults of the outside
  | 'SP_KUBE_API'
  | 'SP_KUBE_CONFLICT'
  | 'SP_KUBE_GONE'
  | 'SP_KUBE_NOT_FOUND'
  | 'SP_KUBE_FORBIDDEN'
  | 'SP_KUBE_UNAUTHORIZED'
  | 'SP_KUBE_INVALID'
  | 'SP_TIMEOUT'
  | 'SP_JWKS_FETCH'
  | 'SP_REDIRECT'
  | 'SP_CONFIG'
  | 'SP_INVARIANT';

/** How much a finding weighs: an `error` refuses the object (or rule), a `warning` is only told. */
export type Severity = 'error' | 'warning';

/** One thing that is wrong or suspicious about a user's object. A value, never thrown. */
export interface Finding {
  readonly code: ErrorCode;
  readonly severity: Severity;
  /** Dotted path with indexes from the object's root, e.g. `spec.rules[0].from[1].source.ipBlocks[0]`; `''` for the whole object. */
  readonly path: string;
  /** For a person; Istio's own text where Istio has one. */
  readonly message: string;
  /** What to do about it, when that is known. */
  readonly hint?: string;
}

/** Something outside failed in a way that a retry may mend (network, 409, 429, 5xx, a deadline). */
export class TransientError extends Error {
  override readonly name: string = 'TransientError';
  readonly code: ErrorCode;
  /** What the other side asked us to wait, in milliseconds, when it said so (Retry-After). */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A bug of ours: a state that the code holds to be impossible. */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError';
  readonly code: ErrorCode = 'SP_INVARIANT';

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }
}

/** Input that is refused as a whole: a bundle, a configuration, a manifest. Carries its code; the caller keeps its last good state. */
export class RefusedError extends Error {
  override readonly name: string = 'RefusedError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}
