/*
 * The three families of faults and the closed table of their codes. In: nothing. Out: `Finding` values for the user's
 * mistakes (never thrown), `TransientError` for what a retry may mend, `RefusedError` for input that is refused as a whole,
 * `InvariantError` for bugs. Every room uses them; docs/reference/errors.md is generated from the table.
 */

/** Where a code turns up: in a `finding` on a user's object, for a `bundle` that an agent refuses, or as a `fault` of a process. */
export type ErrorFamily = 'finding' | 'bundle' | 'fault';

/** A code explained. */
export interface ErrorCodeEntry {
  readonly family: ErrorFamily;
  /** One line for a person who met the code. */
  readonly text: string;
}

/** Every code the product reports. A code is stable: dashboards, tests and `docs/reference/errors.md` name it. */
export const ERROR_CODES = {
  SP_SCHEMA: { family: 'finding', text: 'A field is unknown, missing, or of a wrong type, length or form.' },
  SP_CEL: { family: 'finding', text: 'A rule of the CRD between fields is broken, e.g. `selector` together with `targetRefs`.' },
  SP_SELECTOR: { family: 'finding', text: 'A workload selector is empty, has an empty key, or a wildcard.' },
  SP_TARGET_REF: { family: 'finding', text: 'A target reference has no name, another namespace, or a kind that cannot be targeted.' },
  SP_JWT_RULE: { family: 'finding', text: 'A JWT rule is wrong: issuer, key URL, token location, claim header or timeout.' },
  SP_JWKS: { family: 'finding', text: 'The inline key set of a JWT rule is no JWKS or has no usable key.' },
  SP_JWKS_UNAVAILABLE: {
    family: 'finding',
    text: 'No keys could be fetched for a JWT rule yet; every token for it is refused with 401 until there are some.',
  },
  SP_POLICY: {
    family: 'finding',
    text: 'A rule of an AuthorizationPolicy cannot be meant so: empty parts, parts its action does not allow.',
  },
  SP_VALUE: { family: 'finding', text: 'A value to match (principal, namespace, address range, port, method, host) is wrong.' },
  SP_PATH: { family: 'finding', text: 'A path or path template to match is wrong.' },
  SP_WHEN: { family: 'finding', text: 'A `when` condition has an unknown key, no values, or values that its key does not take.' },
  SP_PROVIDER: { family: 'finding', text: 'An external authorizer is missing, not configured, or named where none belongs.' },
  SP_ANNOTATION: { family: 'finding', text: 'An annotation has a value that is not understood, or is on an object it does nothing for.' },
  SP_NEEDS_PEER_IDENTITY: {
    family: 'finding',
    text: 'A rule asks who the peer is (principals, namespaces, service accounts), which nothing tells the agents unless `mesh.trustedProxies` is set; it never matches.',
  },
  SP_NEVER_MATCHES: { family: 'finding', text: 'A value, or a policy, that is valid but that no request can match.' },
  SP_WIDE_RULE: { family: 'finding', text: 'A rule matches every request, or callers without an identity, which may not be meant.' },
  SP_EVADABLE: { family: 'finding', text: 'A client gets around a rule by what it writes into Host or X-Forwarded-For.' },
  SP_SPLIT_RULE: { family: 'finding', text: 'Two rules in a row look like one that a dash too many has split.' },
  SP_UNREACHABLE_RULE: { family: 'finding', text: 'A rule changes nothing because of another rule or policy.' },
  SP_NO_JWT_RULE: { family: 'finding', text: 'A rule asks for a token where no RequestAuthentication verifies any.' },
  SP_TOKEN_OPTIONAL: {
    family: 'finding',
    text: 'A RequestAuthentication alone does not ask for a token: requests without one pass.',
  },
  SP_ISSUER: { family: 'finding', text: 'The issuer of a JWT rule and that of a request principal do not fit, or end in a slash.' },
  SP_AUDIENCE: {
    family: 'finding',
    text: 'The audiences of a JWT rule keep out less than they seem to, because another rule takes the same tokens.',
  },
  SP_PREFLIGHT: { family: 'finding', text: 'CORS preflights are denied: they never carry a token, and every rule asks for one.' },
  SP_SELECTS_NOTHING: { family: 'finding', text: 'A policy selects none of the workloads that are known.' },
  SP_NO_AGENT: { family: 'finding', text: 'A workload that policies select has no agent: nothing is enforced for it.' },
  SP_TOO_LARGE: { family: 'finding', text: 'The bundle of a workload fits into no ConfigMap; the last published one stays in force.' },
  SP_MANIFEST: { family: 'finding', text: 'A manifest file cannot be read, is not YAML, or an object in it cannot be worked with.' },

  SP_BUNDLE_UNREADABLE: { family: 'bundle', text: 'A bundle is missing its parts, truncated, or not JSON.' },
  SP_BUNDLE_TOO_LARGE: { family: 'bundle', text: 'A bundle is larger than an agent reads.' },
  SP_BUNDLE_SCHEMA: { family: 'bundle', text: 'A bundle is of another schema, or holds something this agent does not know.' },
  SP_BUNDLE_DIGEST: { family: 'bundle', text: 'A bundle is not the one that its digest announces.' },
  SP_BUNDLE_FOREIGN: { family: 'bundle', text: 'A bundle is for another workload.' },

  SP_AUTHORIZER: {
    family: 'fault',
    text: 'An external authorizer cannot be reached, failed, or did not answer in time; unless it fails open, requests for it are denied.',
  },
  SP_KUBE_API: { family: 'fault', text: 'The API server failed, or could not be reached.' },
  SP_KUBE_CONFLICT: { family: 'fault', text: 'An object changed at the same time, or belongs to another field manager.' },
  SP_KUBE_GONE: { family: 'fault', text: 'The API server no longer has the version that was asked for; everything is listed again.' },
  SP_KUBE_NOT_FOUND: {
    family: 'fault',
    text: 'The API server does not have the object, or not the kind because its CRD is not installed.',
  },
  SP_KUBE_FORBIDDEN: { family: 'fault', text: 'The account has no right to do this: see the ClusterRoles of the chart.' },
  SP_KUBE_UNAUTHORIZED: { family: 'fault', text: 'The API server does not accept the credentials.' },
  SP_KUBE_INVALID: { family: 'fault', text: 'The API server refused an object as invalid.' },
  SP_TIMEOUT: { family: 'fault', text: 'No answer came in time.' },
  SP_JWKS_FETCH: { family: 'fault', text: 'A key set could not be fetched or is not usable; the last good keys stay in force.' },
  SP_REDIRECT: { family: 'fault', text: 'Inbound connections of a pod could not be redirected to its agent; the pod does not start.' },
  SP_CONFIG: { family: 'fault', text: 'Configuration (file, flag, environment variable, kubeconfig) is wrong.' },
  SP_INVARIANT: { family: 'fault', text: 'A bug: please report it with the log line.' },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What {@link ERROR_CODES} says of `code`. */
export function describeErrorCode(code: ErrorCode): ErrorCodeEntry {
  return ERROR_CODES[code];
}

/** How much a finding weighs: an `error` refuses the object (or rule), a `warning` is only told, an `info` may well be meant so. */
export type Severity = 'error' | 'warning' | 'info';

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
