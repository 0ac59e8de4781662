/*
 * The two kinds of security.istio.io/v1 as plain types, after parsing. Field names are Istio's. Absent and empty mean the same
 * unless a docstring says otherwise: parsing turns empty arrays into absent ones, like Istio's decoder. The zod schemas in
 * schema/ describe the same kinds for the CRDs.
 * @see istio.io/api security/v1beta1/{request_authentication,authorization_policy}.proto
 */

/** The Kubernetes metadata that determines the meaning of a policy. */
export interface PolicyMetadata {
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
  readonly generation?: number;
  /** RFC 3339; absent for objects from files, which sort first. */
  readonly creationTimestamp?: string;
  readonly resourceVersion?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Selects pods by labels. */
export interface WorkloadSelector {
  /** Absent or empty: every workload in scope. */
  readonly matchLabels?: Readonly<Record<string, string>>;
}

/** Reference to a Gateway or another object that a policy applies to instead of pods. */
export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** A request header that may carry a token. */
export interface JwtHeader {
  readonly name: string;
  /** Text before the token; absent: none. */
  readonly prefix?: string;
}

/** A claim of a verified token to copy into a request header. */
export interface ClaimToHeader {
  readonly header: string;
  readonly claim: string;
}

/** Which tokens of one issuer are accepted, where they are found, and what is forwarded. */
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
  /** Timeout of one key fetch in milliseconds; absent: 5000. */
  readonly timeoutMs?: number;
  readonly spaceDelimitedClaims?: readonly string[];
  readonly presence?: 'OPTIONAL' | 'REQUIRED';
}

/** `spec` of a RequestAuthentication. */
export interface RequestAuthenticationSpec {
  readonly selector?: WorkloadSelector;
  /** `targetRef` and `targetRefs` in one list; present and non-empty: the policy applies to no sidecar. */
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly jwtRules?: readonly JwtRule[];
}

/** A parsed RequestAuthentication. */
export interface RequestAuthentication {
  readonly kind: 'RequestAuthentication';
  readonly metadata: PolicyMetadata;
  readonly spec: RequestAuthenticationSpec;
}

/** Action of an AuthorizationPolicy. */
export type Action = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Properties of the caller. The values of a field are ORed, the fields are ANDed; a `not…` field is the complement of its counterpart. */
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

/** Properties of the request, combined like those of {@link Source}. */
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

/** One entry of `when`: an attribute that must have one of `values` and none of `notValues`. */
export interface Condition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

/** One rule of an AuthorizationPolicy. `from` absent: any source. `to` absent: any operation. All absent: matches every request. */
export interface AuthorizationRule {
  readonly from?: readonly { readonly source?: Source }[];
  readonly to?: readonly { readonly operation?: Operation }[];
  readonly when?: readonly Condition[];
}

/** `spec` of an AuthorizationPolicy. */
export interface AuthorizationPolicySpec {
  readonly selector?: WorkloadSelector;
  readonly targetRefs?: readonly PolicyTargetReference[];
  /** Absent in YAML: ALLOW. */
  readonly action: Action;
  readonly provider?: { readonly name: string };
  /** Absent: matches no request (an ALLOW policy then denies everything). A rule `{}` matches every request. */
  readonly rules?: readonly AuthorizationRule[];
}

/** A parsed AuthorizationPolicy. */
export interface AuthorizationPolicy {
  readonly kind: 'AuthorizationPolicy';
  readonly metadata: PolicyMetadata;
  readonly spec: AuthorizationPolicySpec;
}

/** A policy of either kind. */
export type Policy = RequestAuthentication | AuthorizationPolicy;
