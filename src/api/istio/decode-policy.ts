/*
 * Decodes the specs of both kinds like Istio, before validation: `targetRef` and `targetRefs` are still separate, empty
 * selectors are kept. Members are decoded in the order of the .proto files, because Istio reports the first one that fails.
 */

import { boolean, type Decode, duration, listOf, message, oneOf, string, stringMap, strings } from './decode-message.ts';
import type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  ClaimToHeader,
  Condition,
  JwtHeader,
  JwtRule,
  Operation,
  PolicyTargetReference,
  RequestAuthenticationSpec,
  Source,
  WorkloadSelector,
} from './resources.ts';

/** The members that say which pods or targets a policy applies to, as written: `targetRef` and `targetRefs` still apart. */
export interface DecodedTargets {
  readonly selector?: WorkloadSelector;
  readonly targetRef?: DecodedTargetReference;
  readonly targetRefs?: readonly DecodedTargetReference[];
}

/** A target reference whose required members may be missing. */
export type DecodedTargetReference = Partial<PolicyTargetReference>;

/** A JWT rule whose required members may be missing. */
export interface DecodedJwtRule extends Omit<JwtRule, 'timeoutMs' | 'fromHeaders' | 'outputClaimToHeaders'> {
  /** In nanoseconds. */
  readonly timeout?: bigint;
  readonly fromHeaders?: readonly Partial<JwtHeader>[];
  readonly outputClaimToHeaders?: readonly Partial<ClaimToHeader>[];
}

/** `spec` of a RequestAuthentication before validation. */
export interface DecodedRequestAuthenticationSpec extends DecodedTargets, Omit<RequestAuthenticationSpec, 'targetRefs' | 'jwtRules'> {
  readonly jwtRules?: readonly DecodedJwtRule[];
}

/** A `when` condition whose key may be missing. */
export type DecodedCondition = Partial<Condition>;

/** A rule of an AuthorizationPolicy before validation. */
export interface DecodedRule extends Omit<AuthorizationRule, 'when'> {
  readonly when?: readonly DecodedCondition[];
}

/** `spec` of an AuthorizationPolicy before validation. */
export interface DecodedAuthorizationPolicySpec
  extends DecodedTargets,
    Omit<AuthorizationPolicySpec, 'targetRefs' | 'action' | 'provider' | 'rules'> {
  readonly action?: AuthorizationPolicySpec['action'];
  readonly provider?: { readonly name?: string };
  readonly rules?: readonly DecodedRule[];
}

const selector = message<WorkloadSelector>({ matchLabels: stringMap });
const targetRef = message<DecodedTargetReference>({ group: string, kind: string, name: string, namespace: string });
const targets = { selector, targetRef, targetRefs: listOf(targetRef, {}) };

const jwtRule = message<DecodedJwtRule>({
  issuer: string,
  audiences: strings,
  jwksUri: string,
  jwks: string,
  fromHeaders: listOf(message<Partial<JwtHeader>>({ name: string, prefix: string }), {}),
  fromParams: strings,
  outputPayloadToHeader: string,
  fromCookies: strings,
  forwardOriginalToken: boolean,
  outputClaimToHeaders: listOf(message<Partial<ClaimToHeader>>({ header: string, claim: string }), {}),
  timeout: duration,
  spaceDelimitedClaims: strings,
  presence: oneOf(['OPTIONAL', 'REQUIRED'], 'istio.security.v1beta1.JWTRule.Presence'),
});

const source = message<Source>({
  principals: strings,
  notPrincipals: strings,
  requestPrincipals: strings,
  notRequestPrincipals: strings,
  namespaces: strings,
  notNamespaces: strings,
  serviceAccounts: strings,
  notServiceAccounts: strings,
  ipBlocks: strings,
  notIpBlocks: strings,
  remoteIpBlocks: strings,
  notRemoteIpBlocks: strings,
  trustDomains: strings,
  notTrustDomains: strings,
});
const operation = message<Operation>({
  hosts: strings,
  notHosts: strings,
  ports: strings,
  notPorts: strings,
  methods: strings,
  notMethods: strings,
  paths: strings,
  notPaths: strings,
});
const rule = message<DecodedRule>({
  from: listOf(message<{ readonly source?: Source }>({ source }), {}),
  to: listOf(message<{ readonly operation?: Operation }>({ operation }), {}),
  when: listOf(message<DecodedCondition>({ key: string, values: strings, notValues: strings }), {}),
});

/** Decodes `spec` of a RequestAuthentication. */
export const decodeRequestAuthenticationSpec: Decode<DecodedRequestAuthenticationSpec> = message<DecodedRequestAuthenticationSpec>({
  ...targets,
  jwtRules: listOf(jwtRule, {}),
});

/** Decodes `spec` of an AuthorizationPolicy. */
export const decodeAuthorizationPolicySpec: Decode<DecodedAuthorizationPolicySpec> = message<DecodedAuthorizationPolicySpec>({
  ...targets,
  rules: listOf(rule, {}),
  action: oneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'], 'istio.security.v1beta1.AuthorizationPolicy.Action'),
  provider: message<{ readonly name?: string }>({ name: string }),
});
