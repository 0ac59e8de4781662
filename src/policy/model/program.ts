/*
 * The compiled policies of one workload for one set of pod labels: what a bundle carries and the evaluator runs. Plain JSON values only
 * (no undefined, no functions), so that it is transferred without change, byte for byte.
 */
import type { ExtensionProvider, PathNormalization } from '../../api/mesh-config.ts';

/** The source of a part of a program: one entry of `spec.rules` or `spec.jwtRules` of one policy. */
export interface Provenance {
  readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy';
  readonly namespace: string;
  readonly name: string;
  /** 0: the source has no generation (files). */
  readonly generation: number;
  /** Index in `spec.rules` or `spec.jwtRules` as written. */
  readonly rule: number;
}

/** A match on one string. `present` requires a non-empty value or, for headers, hosts and methods, mere presence. */
export type StringMatch = { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string } | { readonly kind: 'present' };

/** A match on a path. `template` has the value of the policy, e.g. `/foo/{*}/bar/{**}`; it is compiled without regular expressions. */
export type PathMatch = StringMatch | { readonly kind: 'template'; readonly value: string };

/** A match on one URI SAN, DNS SAN or Subject of the peer's certificate, with the meaning of the regular expressions that Istio generates. */
export type IdentityMatch =
  | StringMatch
  /** Starts with `spiffe://` and ends with `value`. */
  | { readonly kind: 'spiffeSuffix'; readonly value: string }
  /** Contains `/ns/<pattern>/`; each `*` in the pattern matches anything. */
  | { readonly kind: 'namespace'; readonly pattern: string }
  | { readonly kind: 'serviceAccount'; readonly namespace: string; readonly name: string }
  /** `spiffe://` + a trust domain that starts with `prefix` and ends with `suffix` (no `/` between) + `/`. */
  | { readonly kind: 'trustDomain'; readonly prefix: string; readonly suffix: string };

/** A match on the claims `iss` and `sub`, both of which must be strings. */
export interface RequestPrincipalMatch {
  readonly iss: StringMatch;
  readonly sub: StringMatch;
}

/** A positive list (OR) and a negative list (NOT OR). Absent: no constraint. A list is never empty. */
interface Lists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

/** One field of a source or operation, or one `when` entry. `field` is its name in the policy, shown in traces. */
export type Clause =
  | ({ readonly attribute: 'host' | 'method' | 'sni'; readonly field: string } & Lists<StringMatch>)
  | ({ readonly attribute: 'path'; readonly field: string } & Lists<PathMatch>)
  /** `name` in lower case; may be a pseudo header such as `:path`. */
  | ({ readonly attribute: 'header'; readonly field: string; readonly name: string } & Lists<StringMatch>)
  /** Canonical CIDRs, e.g. `10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3/32`. */
  | ({ readonly attribute: 'sourceIp' | 'remoteIp' | 'destinationIp'; readonly field: string } & Lists<string>)
  | ({ readonly attribute: 'destinationPort'; readonly field: string } & Lists<number>)
  | ({ readonly attribute: 'peer'; readonly field: string } & Lists<IdentityMatch>)
  | ({ readonly attribute: 'requestPrincipal'; readonly field: string } & Lists<RequestPrincipalMatch>)
  /** `path`: keys of nested objects from the payload's root; never empty. */
  | ({ readonly attribute: 'claim'; readonly field: string; readonly path: readonly string[] } & Lists<StringMatch>)
  /** `list`: the value must be an array that contains a matching string. */
  | ({
      readonly attribute: 'metadata';
      readonly field: string;
      readonly filter: string;
      readonly path: readonly string[];
      readonly list: boolean;
    } & Lists<StringMatch>);

/**
 * Matches if (some entry of `to`) AND (some entry of `from`) AND (every clause of `when`) hold; an entry is the AND of its clauses.
 * A rule without `from` (or `to`) has one empty entry there, which matches anything.
 */
export interface Rule {
  /** Istio's policy id, e.g. `ns[foo]-policy[require-jwt]-rule[0]`. */
  readonly id: string;
  readonly source: Provenance;
  readonly from: readonly (readonly Clause[])[];
  readonly to: readonly (readonly Clause[])[];
  readonly when: readonly Clause[];
}

/** The rules of one action. Attached without rules differs from not attached: an attached ALLOW engine without rules denies everything. */
export interface Engine {
  readonly attached: boolean;
  /** Byte-sorted by id; the first match in this order is the one reported. */
  readonly rules: readonly Rule[];
}

/**
 * The CUSTOM policies of one provider. Exactly one of `provider` (call it) and `refusal` (deny what matches, because e.g. the provider is
 * unknown) is present.
 */
export interface CustomStep {
  readonly name: string;
  readonly provider?: ExtensionProvider;
  readonly refusal?: string;
  readonly rules: readonly Rule[];
}

/** All engines of one protocol, evaluated in the order CUSTOM, (JWT), AUDIT, DENY, ALLOW. `dryRun…` never change the outcome. */
export interface Ruleset {
  readonly custom: readonly CustomStep[];
  readonly audit: Engine;
  readonly deny: Engine;
  readonly allow: Engine;
  readonly dryRunDeny: Engine;
  readonly dryRunAllow: Engine;
}

/** One JWT rule. Providers are tried in their order. */
export interface JwtProvider {
  /** `origins-<i>` as in Istio. */
  readonly name: string;
  readonly source: Provenance;
  /** `''`: any issuer. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** In extraction order; names in lower case; defaults filled in. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  readonly forward: boolean;
  /** Lower case; `''`: none. */
  readonly payloadHeader: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Sorted, unique; always includes `permission` and `scope`. */
  readonly spaceDelimitedClaims: readonly string[];
  /** Key of `Bundle.keySets`. A provider without a key set there verifies no token. */
  readonly keySet: string;
  /** `presence: REQUIRED`: a request without this token is rejected, whatever other rules accept. */
  readonly required: boolean;
}

/** All policies of a workload, compiled. */
export interface Program {
  readonly pathNormalization: PathNormalization;
  /** Canonical CIDRs of proxies whose X-Forwarded-Client-Cert identifies the peer. Empty: the header is never trusted. */
  readonly trustedProxies: readonly string[];
  readonly providers: readonly JwtProvider[];
  readonly http: Ruleset;
  readonly tcp: Ruleset;
}
