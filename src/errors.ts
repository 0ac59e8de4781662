/*
 * Error codes and error classes. The table of codes is closed: every finding, rejected bundle and process error carries
 * one of them, and docs/reference/errors.md is generated from the table.
 */

/** Where a code is reported: in a `finding` about a user's object, for a `bundle` that an agent rejects, or as a `fault` of a process. */
export type ErrorFamily = 'finding' | 'bundle' | 'fault';

/** Description of one error code. */
export interface ErrorCodeEntry {
  readonly family: ErrorFamily;
  /** One line that explains the code to a user. */
  readonly text: string;
}

/** Every code that Sallyport reports. Codes are stable: dashboards, tests and `docs/reference/errors.md` refer to them. */
export const ERROR_CODES = {
  SP_SCHEMA: { family: 'finding', text: 'A field is unknown or missing, or has an invalid type, length or format.' },
  SP_CEL: { family: 'finding', text: 'A validation rule of the CRD is violated, for example `selector` together with `targetRefs`.' },
  SP_SELECTOR: { family: 'finding', text: 'A workload selector is empty, has an empty key, or contains a wildcard.' },
  SP_TARGET_REF: { family: 'finding', text: 'A target reference has no name, names another namespace, or has an unsupported kind.' },
  SP_JWT_RULE: { family: 'finding', text: 'A JWT rule has an invalid issuer, key URL, token location, output header or timeout.' },
  SP_JWKS: {
    family: 'finding',
    text: 'A key set of a JWT rule is not a JWKS, contains no usable key, or contains keys that cannot be used.',
  },
  SP_JWKS_UNAVAILABLE: {
    family: 'finding',
    text: 'No keys have been fetched for a JWT rule yet; until then every token for the rule is rejected with 401.',
  },
  SP_SECRET: {
    family: 'finding',
    text: 'A policy or provider has a secret (symmetric key, header value) that others can read in a ConfigMap, or that is therefore not published to other namespaces.',
  },
  SP_POLICY: {
    family: 'finding',
    text: 'An AuthorizationPolicy rule is malformed: an empty clause, or one that its action does not allow.',
  },
  SP_VALUE: { family: 'finding', text: 'A value to match (principal, namespace, address block, port, method or host) is invalid.' },
  SP_PATH: { family: 'finding', text: 'A path or path template to match is invalid.' },
  SP_WHEN: { family: 'finding', text: 'A `when` condition has an unknown key, no values, or values that are invalid for its key.' },
  SP_PROVIDER: { family: 'finding', text: 'An ext_authz provider is missing, not configured, or set for an action other than CUSTOM.' },
  SP_ANNOTATION: { family: 'finding', text: 'An annotation has an invalid value, or is set on an object where it has no effect.' },
  SP_NEEDS_PEER_IDENTITY: {
    family: 'finding',
    text: 'A rule matches on the peer identity (principals, namespaces, service accounts), which agents know only where they terminate mutual TLS, or if `mesh.trustedProxies` is set; without either the rule never matches.',
  },
  SP_NEVER_MATCHES: { family: 'finding', text: 'A value or a policy is valid, but no request can match it.' },
  SP_WIDE_RULE: { family: 'finding', text: 'A rule matches every request, or requests without an identity, which may not be intended.' },
  SP_EVADABLE: { family: 'finding', text: 'A client can bypass this rule by setting Host or X-Forwarded-For.' },
  SP_SPLIT_RULE: { family: 'finding', text: 'Two consecutive rules look like one rule that an extra dash in the YAML has split.' },
  SP_UNREACHABLE_RULE: { family: 'finding', text: 'A rule has no effect because of another rule or policy.' },
  SP_NO_JWT_RULE: { family: 'finding', text: 'A rule requires a token, but no RequestAuthentication verifies tokens for the same pods.' },
  SP_TOKEN_OPTIONAL: {
    family: 'finding',
    text: 'A RequestAuthentication alone does not require a token: requests without one are allowed.',
  },
  SP_ISSUER: { family: 'finding', text: 'The issuer of a JWT rule and that of a request principal do not match, or end in a slash.' },
  SP_AUDIENCE: {
    family: 'finding',
    text: 'The audiences of a JWT rule are less restrictive than they look, because another rule accepts the same tokens.',
  },
  SP_PREFLIGHT: { family: 'finding', text: 'CORS preflights are denied: they never carry a token, and every rule requires one.' },
  SP_SELECTS_NOTHING: { family: 'finding', text: 'A policy selects none of the known workloads.' },
  SP_NEW_ACCESS: { family: 'finding', text: 'A request that was refused before the change is let in.' },
  SP_NOT_PROVEN: { family: 'finding', text: 'A request shows that an invariant does not hold, or no proof was found that it does.' },
  SP_NO_AGENT: { family: 'finding', text: 'A workload that policies select has no agent: nothing is enforced for it.' },
  SP_TOO_LARGE: {
    family: 'finding',
    text: 'The bundle of a workload does not fit into a ConfigMap; the last published bundle stays active.',
  },
  SP_NAME_TAKEN: {
    family: 'finding',
    text: 'An object that Sallyport does not manage has the name of a bundle; it is left unchanged, and the bundle is not published.',
  },
  SP_PRIVILEGED: {
    family: 'finding',
    text: 'A container of a pod with an agent could undo the redirect or reach into the agent.',
  },
  SP_POD_SECURITY: {
    family: 'finding',
    text: 'The Pod Security level of a namespace refuses the init container that redirects connections; `capture.mode: node` needs no such container.',
  },
  SP_OVER_BUDGET: {
    family: 'finding',
    text: 'A policy, alone or with older policies of its namespace, takes more of a bundle than its budget. The last version within the budget stays active; without one, what denies at least as much is enforced.',
  },
  SP_MANIFEST: { family: 'finding', text: 'A manifest file cannot be read or is not YAML, or an object in it cannot be processed.' },

  SP_BUNDLE_UNREADABLE: { family: 'bundle', text: 'A bundle is incomplete, truncated, or not JSON.' },
  SP_BUNDLE_TOO_LARGE: { family: 'bundle', text: 'A bundle exceeds the size that an agent accepts.' },
  SP_BUNDLE_SCHEMA: {
    family: 'bundle',
    text: 'A bundle has an unsupported schema version, or contains a field or value that this agent does not know.',
  },
  SP_BUNDLE_DIGEST: { family: 'bundle', text: 'A bundle does not match its digest.' },
  SP_BUNDLE_FOREIGN: { family: 'bundle', text: 'A bundle belongs to another cluster, namespace or workload.' },
  SP_BUNDLE_UNSIGNED: { family: 'bundle', text: 'A bundle has no signed statement, or its statement is not a valid JWS.' },
  SP_BUNDLE_SIGNATURE: { family: 'bundle', text: 'A bundle, or its list of signing keys, has a wrong signature or one of an unknown key.' },
  SP_BUNDLE_KEY_EXPIRED: { family: 'bundle', text: 'A bundle is signed with a key outside its period of validity.' },
  SP_BUNDLE_OLDER: { family: 'bundle', text: 'A bundle is older than one that the agent has had.' },
  SP_BUNDLE_KEYS: { family: 'bundle', text: 'The list of signing keys of a bundle is missing, malformed, or older than a known one.' },

  SP_AUTHORIZER: {
    family: 'fault',
    text: 'An ext_authz provider is unreachable, failed, or did not respond in time; its requests are denied unless the provider fails open.',
  },
  SP_KUBE_API: { family: 'fault', text: 'The API server failed or is unreachable.' },
  SP_KUBE_CONFLICT: { family: 'fault', text: 'An object was changed concurrently, or a field belongs to another field manager.' },
  SP_KUBE_FENCED: {
    family: 'fault',
    text: 'A write was not sent, because this replica did not renew its lease in time and another one may lead already.',
  },
  SP_KUBE_GONE: { family: 'fault', text: 'The API server no longer has the requested resource version; the collection is listed again.' },
  SP_KUBE_NOT_FOUND: {
    family: 'fault',
    text: 'The API server does not have the object, or does not know its kind because the CRD is not installed.',
  },
  SP_KUBE_FORBIDDEN: {
    family: 'fault',
    text: 'The API server forbids a request: the ClusterRoles of the chart are missing, or a quota or an admission plugin refuses the object. It is retried.',
  },
  SP_KUBE_UNAUTHORIZED: { family: 'fault', text: 'The API server rejected the credentials.' },
  SP_KUBE_INVALID: {
    family: 'fault',
    text: 'The API server, or an admission policy or webhook, rejected a request or an object as invalid.',
  },
  SP_KEYS_MISSING: {
    family: 'fault',
    text: 'The Secret with the signing keys is missing although signed bundles exist; nothing is published until it is restored or reset.',
  },
  SP_KEYS_INVALID: { family: 'fault', text: 'The content of the Secret, or of a file, with signing keys is invalid.' },
  SP_TIMEOUT: { family: 'fault', text: 'No response arrived before the deadline.' },
  SP_JWKS_FETCH: { family: 'fault', text: 'A key set cannot be fetched or contains no usable key; the last good keys stay active.' },
  SP_REDIRECT: { family: 'fault', text: 'Inbound connections of a pod cannot be redirected to its agent; the pod does not start.' },
  SP_CONFIG: { family: 'fault', text: 'The configuration (file, flag, environment variable or kubeconfig) is invalid.' },
  SP_INVARIANT: { family: 'fault', text: 'A bug in Sallyport: please report it with the log line.' },
} as const;

/** One of the keys of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The entry of {@link ERROR_CODES} for `code`. */
export function describeErrorCode(code: ErrorCode): ErrorCodeEntry {
  return ERROR_CODES[code];
}

/** Severity of a finding: an `error` rejects the object or rule, a `warning` is only reported, an `info` may be intended. */
export type Severity = 'error' | 'warning' | 'info';

/** One problem, or likely mistake, in a user's object. A value: findings are returned, never thrown. */
export interface Finding {
  readonly code: ErrorCode;
  readonly severity: Severity;
  /** Dotted path with indexes from the object's root, e.g. `spec.rules[0].from[1].source.ipBlocks[0]`; `''` for the whole object. */
  readonly path: string;
  /** What is wrong, for a user. */
  readonly message: string;
  /** What to do about it; absent: nothing to suggest. */
  readonly hint?: string;
}

/** A failure of an external system that a retry may resolve: network, deadline, HTTP 409, 429 or 5xx. */
export class TransientError extends Error {
  override readonly name: string = 'TransientError';
  readonly code: ErrorCode;
  /** Minimum delay before the next attempt, in milliseconds, as the server requested (Retry-After); undefined: none requested. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A bug in Sallyport: a state that the code assumes to be impossible. */
export class InvariantError extends Error {
  override readonly name: string = 'InvariantError';
  readonly code: ErrorCode = 'SP_INVARIANT';

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
  }
}

/** Input rejected as a whole: a bundle, a configuration, a manifest, a request. The caller keeps its last good state; a retry does not help. */
export class RefusedError extends Error {
  override readonly name: string = 'RefusedError';
  readonly code: ErrorCode;
  /** Private, so that no log prints it with the error. */
  readonly #sentence: string | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly sentence?: string | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.#sentence = options.sentence;
  }

  /** What the API server said when it refused the request; it may quote the object, so it is for the status of that object only. */
  get sentence(): string | undefined {
    return this.#sentence;
  }
}
