/*
 * The wire form between controller and agent: one JSON document per workload. In: made by the compile room, encoded by
 * `encodeBundle`. Out: read by `decodeBundle` in the agent. Byte-identical for identical meaning.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import type { Program } from '../policy/model/program.ts';

/** Schema of the document; an agent refuses any other. */
export const BUNDLE_SCHEMA = 'sallyport.dev/bundle/v1';
/** Largest decoded bundle an agent reads, in bytes (after gunzip). */
export const MAX_BUNDLE_BYTES: number = 16 * 1024 * 1024;

/** One usable public (or HMAC) key as it came in the JWKS, without members that verification does not read. */
export type BundleKey = Readonly<Record<string, string>>;

export interface KeySet {
  /** For people: `inline`, or the URL the keys came from. */
  readonly source: string;
  /** In JWKS order. Empty never occurs: a set without a usable key is not in the bundle. */
  readonly keys: readonly BundleKey[];
}

/** The program of the pods whose policy-relevant labels are `labels`. */
export interface Variant {
  /** Every relevant key (`Bundle.relevantLabels`) that the pod has, with its value. */
  readonly labels: Readonly<Record<string, string>>;
  /** Index into `Bundle.programs`. */
  readonly program: number;
}

export interface Bundle {
  readonly schema: typeof BUNDLE_SCHEMA;
  readonly workload: WorkloadRef;
  /** Label keys that a selector in scope looks at, sorted. */
  readonly relevantLabels: readonly string[];
  /** Sorted by their labels; at least one. */
  readonly variants: readonly Variant[];
  readonly programs: readonly Program[];
  /** By `JwtProvider.keySet`. */
  readonly keySets: Readonly<Record<string, KeySet>>;
}

/** A bundle ready to be written. */
export interface EncodedBundle {
  readonly workload: WorkloadRef;
  /** `sha256:` + 64 hex digits over `json`. */
  readonly digest: string;
  /** Canonical JSON (sorted keys). */
  readonly json: string;
}
