/*
 * The compiled meaning of all policies of one workload for one set of pod labels: what a bundle carries and the
 * evaluator runs. Plain JSON values only (no undefined, no functions), so that it travels unchanged and byte-identical.
 * In: made by `lower`. Out: read by `decide` and by the jwt room.
 */
import type { ExtensionProvider, PathNormalization } from '../../api/mesh-config.ts';

/** Where a piece of a program comes from: one entry of `spec.rules` or `spec.jwtRules` of one policy. */
export interface Provenance {
  readonly kind: 'RequestAuthentication' | 'AuthorizationPolicy';
  readonly namespace: string;
  readonly name: string;
  /** 0 when the source has no generation (files). */
  readonly generation: number;
  /** Position in `spec.rules` / `spec.jwtRules` as written, from 0. */
  readonly rule: number;
}

/** `present` needs a non-empty value (or, for headers, hosts and methods, mere presence). */
export type StringMatch = { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string } | { readonly kind: 'present' };

/** `template` keeps the policy's text, e.g. `/foo/{*}/bar/{**}`; the evaluator compiles it without user regular expressions. */
export type PathMatch = StringMatch | { readonly kind: 'template'; readonly value: string };

/** Matchers on one URI SAN, DNS SAN or Subject of the peer's certificate (semantics of Istio's generated regular expressions). */
export type IdentityMatch =
  | StringMatch
  /** Begins with `spiffe://` and ends with `value`. */
  | { readonly kind: 'spiffeSuffix'; readonly value: string }
  /** Contains `/ns/<pattern>/`; each `*` in the pattern stands for anything. */
  | { readonly kind: 'namespace'; readonly pattern: string }
  | { readonly kind: 'serviceAccount'; readonly namespace: string; readonly name: string }
  /** `spiffe://` + a trust domain beginning with `prefix` and ending with `suffix` (no `/` between) + `/`. */
  | { readonly kind: 'trustDomain'; readonly prefix: string; readonly suffix: string };

/** Both claims must be strings that match. */
export interface RequestPrincipalMatch {
  readonly iss: StringMatch;
  readonly sub: StringMatch;
}

/** Positive list (OR) and negative list (NOT OR). A list is absent when it puts no constraint; it is never empty. */
interface Lists<M> {
  readonly anyOf?: readonly M[];
  readonly noneOf?: readonly M[];
}

/** One field of a source or operation, or one `when` entry. `field` is the name in the policy (a grep target and the trace's label). */
export type Clause =
  | ({ readonly attribute: 'host' | 'method' | 'sni'; readonly field: string } & Lists<StringMatch>)
  | ({ readonly attribute: 'path'; readonly field: string } & Lists<PathMatch>)
  /** `name` in lower case; may be a pseudo header such as `:path`. */
  | ({ readonly attribute: 'header'; readonly field: string; readonly name: string } & Lists<StringMatch>)
  /** CIDR text, canonical, e.g. `10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3/32`. */
  | ({ readonly attribute: 'sourceIp' | 'remoteIp' | 'destinationIp'; readonly field: string } & Lists<string>)
  | ({ readonly attribute: 'destinationPort'; readonly field: string } & Lists<number>)
  | ({ readonly attribute: 'peer'; readonly field: string } & Lists<IdentityMatch>)
  | ({ readonly attribute: 'requestPrincipal'; readonly field: string } & Lists<RequestPrincipalMatch>)
  /** `path`: keys of nested objects from the payload's root; never empty. */
  | ({ readonly attribute: 'claim'; readonly field: string; readonly path: readonly string[] } & Lists<StringMatch>)
  /** `list`: the value must be a list holding a matching string. */
  | ({
      readonly attribute: 'metadata';
      readonly field: string;
      readonly filter: string;
      readonly path: readonly string[];
      readonly list: boolean;
    } & Lists<StringMatch>);

/**
 * rule := (some entry of `to`) AND (some entry of `from`) AND (every clause of `when`); an entry is the AND of its clauses.
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

/** `attached` without rules means something: an attached ALLOW engine with no rule denies everything. */
export interface Engine {
  readonly attached: boolean;
  /** Byte-sorted by id; the first match in this order is the one reported. */
  readonly rules: readonly Rule[];
}

/** CUSTOM policies of one provider. Exactly one of `provider` (call it) and `refusal` (deny what matches, e.g. unknown provider) is present. */
export interface CustomStep {
  readonly name: string;
  readonly provider?: ExtensionProvider;
  readonly refusal?: string;
  readonly rules: readonly Rule[];
}

/** All engines for one protocol; evaluated CUSTOM, (JWT), AUDIT, DENY, ALLOW. `dryRun…` never change the outcome. */
export interface Ruleset {
  readonly custom: readonly CustomStep[];
  readonly audit: Engine;
  readonly deny: Engine;
  readonly allow: Engine;
  readonly dryRunDeny: Engine;
  readonly dryRunAllow: Engine;
}

/** One JWT rule, in the order in which rules are tried. */
export interface JwtProvider {
  /** `origins-<i>` as in Istio. */
  readonly name: string;
  readonly source: Provenance;
  /** `''`: any issuer. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Already in extraction order; names in lower case; defaults filled in. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  readonly forward: boolean;
  /** Lower case; `''`: none. */
  readonly payloadHeader: string;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Sorted, unique, always with `permission` and `scope`. */
  readonly spaceDelimitedClaims: readonly string[];
  /** Key of `Bundle.keySets`. A provider whose key set is not there verifies no token. */
  readonly keySet: string;
  /** `presence: REQUIRED`: a request without this token is refused, whatever other rules accept. */
  readonly required: boolean;
}

export interface Program {
  readonly pathNormalization: PathNormalization;
  /** Blocks of proxies whose X-Forwarded-Client-Cert says who the peer is; canonical. Empty: the header is never believed. */
  readonly trustedProxies: readonly string[];
  readonly providers: readonly JwtProvider[];
  readonly http: Ruleset;
  readonly tcp: Ruleset;
}
