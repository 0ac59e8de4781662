/*
 * The specs of both kinds as Istio's decoder reads them, before anything is judged or folded: `targetRef` and `targetRefs`
 * still apart, empty selectors still there. Raw spec in, decoded spec out; members are read in the order of the .proto files,
 * because the first one that cannot be read is the one that is told. Called by parse and by validation.
 */

import { type Decode, duration, flag, listOf, message, oneOf, text, textMap, texts } from './decode-message.ts';
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

export type DecodedTargetReference = Partial<PolicyTargetReference>;

export interface DecodedJwtRule extends Omit<JwtRule, 'timeoutMs' | 'fromHeaders' | 'outputClaimToHeaders'> {
  /** Nanoseconds. */
  readonly timeout?: bigint;
  readonly fromHeaders?: readonly Partial<JwtHeader>[];
  readonly outputClaimToHeaders?: readonly Partial<ClaimToHeader>[];
}

export interface DecodedRequestAuthenticationSpec extends DecodedTargets, Omit<RequestAuthenticationSpec, 'targetRefs' | 'jwtRules'> {
  readonly jwtRules?: readonly DecodedJwtRule[];
}

export type DecodedCondition = Partial<Condition>;

export interface DecodedRule extends Omit<AuthorizationRule, 'when'> {
  readonly when?: readonly DecodedCondition[];
}

export interface DecodedAuthorizationPolicySpec
  extends DecodedTargets,
    Omit<AuthorizationPolicySpec, 'targetRefs' | 'action' | 'provider' | 'rules'> {
  readonly action?: AuthorizationPolicySpec['action'];
  readonly provider?: { readonly name?: string };
  readonly rules?: readonly DecodedRule[];
}

const selector = message<WorkloadSelector>({ matchLabels: textMap });
const targetRef = message<DecodedTargetReference>({ group: text, kind: text, name: text, namespace: text });
const targets = { selector, targetRef, targetRefs: listOf(targetRef, {}) };

const jwtRule = message<DecodedJwtRule>({
  issuer: text,
  audiences: texts,
  jwksUri: text,
  jwks: text,
  fromHeaders: listOf(message<Partial<JwtHeader>>({ name: text, prefix: text }), {}),
  fromParams: texts,
  outputPayloadToHeader: text,
  fromCookies: texts,
  forwardOriginalToken: flag,
  outputClaimToHeaders: listOf(message<Partial<ClaimToHeader>>({ header: text, claim: text }), {}),
  timeout: duration,
  spaceDelimitedClaims: texts,
  presence: oneOf(['OPTIONAL', 'REQUIRED'], 'istio.security.v1beta1.JWTRule.Presence'),
});

const source = message<Source>({
  principals: texts,
  notPrincipals: texts,
  requestPrincipals: texts,
  notRequestPrincipals: texts,
  namespaces: texts,
  notNamespaces: texts,
  serviceAccounts: texts,
  notServiceAccounts: texts,
  ipBlocks: texts,
  notIpBlocks: texts,
  remoteIpBlocks: texts,
  notRemoteIpBlocks: texts,
  trustDomains: texts,
  notTrustDomains: texts,
});
const operation = message<Operation>({
  hosts: texts,
  notHosts: texts,
  ports: texts,
  notPorts: texts,
  methods: texts,
  notMethods: texts,
  paths: texts,
  notPaths: texts,
});
const rule = message<DecodedRule>({
  from: listOf(message<{ readonly source?: Source }>({ source }), {}),
  to: listOf(message<{ readonly operation?: Operation }>({ operation }), {}),
  when: listOf(message<DecodedCondition>({ key: text, values: texts, notValues: texts }), {}),
});

/** Reads `spec` of a RequestAuthentication. */
export const decodeRequestAuthenticationSpec: Decode<DecodedRequestAuthenticationSpec> = message<DecodedRequestAuthenticationSpec>({
  ...targets,
  jwtRules: listOf(jwtRule, {}),
});

/** Reads `spec` of an AuthorizationPolicy. */
export const decodeAuthorizationPolicySpec: Decode<DecodedAuthorizationPolicySpec> = message<DecodedAuthorizationPolicySpec>({
  ...targets,
  rules: listOf(rule, {}),
  action: oneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'], 'istio.security.v1beta1.AuthorizationPolicy.Action'),
  provider: message<{ readonly name?: string }>({ name: text }),
});
