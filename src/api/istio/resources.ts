/*
 * The two kinds of security.istio.io/v1 as plain types: the shapes after parsing. Field names are Istio's own. Absent
 * and empty differ nowhere in meaning except where a docstring says so: parsing turns empty lists into absent ones, as
 * Istio's decoder does. In: nothing. Out: types only; the zod schemas beside this file are checked against them.
 * @see istio.io/api security/v1beta1/{request_authentication,authorization_policy}.proto
 */

/** The part of Kubernetes metadata that gives a policy its meaning. */
export interface PolicyMetadata {
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
  readonly generation?: number;
  /** RFC 3339; absent for objects from files, which then sort first. */
  readonly creationTimestamp?: string;
  readonly resourceVersion?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface WorkloadSelector {
  /** Absent or empty: every workload in scope. */
  readonly matchLabels?: Readonly<Record<string, string>>;
}

export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface JwtHeader {
  readonly name: string;
  readonly prefix?: string;
}

export interface ClaimToHeader {
  readonly header: string;
  readonly claim: string;
}

export interface JwtRule {
  readonly issuer?: string;
  readonly audiences?: readonly string[];
  readonly jwksUri?: string;
  readonly jwks?: string;
  readonly fromHeaders?: readonly JwtHeader[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly outputPayloadToHeader?: string;
  readonly forwardOriginalToken?: boolean;
  readonly outputClaimToHeaders?: readonly ClaimToHeader[];
  /** Deadline of one key fetch in milliseconds; absent: 5000. */
  readonly timeoutMs?: number;
  readonly spaceDelimitedClaims?: readonly string[];
  readonly presence?: 'OPTIONAL' | 'REQUIRED';
}

export interface RequestAuthenticationSpec {
  readonly selector?: WorkloadSelector;
  /** `targetRef` and `targetRefs` folded into one list; present and non-empty: no sidecar ever sees the policy. */
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly jwtRules?: readonly JwtRule[];
}

export interface RequestAuthentication {
  readonly kind: 'RequestAuthentication';
  readonly metadata: PolicyMetadata;
  readonly spec: RequestAuthenticationSpec;
}

export type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Every list is OR inside, the fields are ANDed; `not…` is the complement of its twin. */
export interface Source {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly trustDomains?: readonly string[];
  readonly notTrustDomains?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
}

export interface Operation {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface Condition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

/** `from` absent: any source. `to` absent: any operation. All absent: matches everything. */
export interface AuthorizationRule {
  readonly from?: readonly { readonly source?: Source }[];
  readonly to?: readonly { readonly operation?: Operation }[];
  readonly when?: readonly Condition[];
}

export interface AuthorizationPolicySpec {
  readonly selector?: WorkloadSelector;
  readonly targetRefs?: readonly PolicyTargetReference[];
  /** Absent in YAML: ALLOW. */
  readonly action: Action;
  readonly provider?: { readonly name: string };
  /** Absent: matches nothing (an ALLOW policy then denies everything). A rule `{}` matches everything. */
  readonly rules?: readonly AuthorizationRule[];
}

export interface AuthorizationPolicy {
  readonly kind: 'AuthorizationPolicy';
  readonly metadata: PolicyMetadata;
  readonly spec: AuthorizationPolicySpec;
}

export type Policy = RequestAuthentication | AuthorizationPolicy;
