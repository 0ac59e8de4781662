/*
 * The wire format between controller and agent: one JSON document per workload. Equal bundles give equal bytes.
 */
import type { WorkloadRef } from '../api/kube/keys.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import type { Program } from '../policy/model/program.ts';
import type { Chunk } from './canonical-json.ts';

/** Schema of the document; an agent rejects any other. */
export const BUNDLE_SCHEMA = 'sallyport.dev/bundle/v2';
/** Schema that agents of level 1 read. */
export const LEGACY_BUNDLE_SCHEMA = 'sallyport.dev/bundle/v1';
/** Largest bundle that an agent reads, in bytes after decompression. */
export const MAX_BUNDLE_BYTES: number = LIMITS.bundleBytes.value;

/** Most values that the rules of one program may name, as `valuesOf` counts them. */
export const MAX_PROGRAM_VALUES: number = LIMITS.programValues.value;

/** One usable public (or HMAC) key of a JWKS, reduced to the members that verification reads. */
export type BundleKey = Readonly<Record<string, string>>;

/** The usable keys of one JWKS. */
export interface KeySet {
  /** `inline`, or the URL of the keys; informational. */
  readonly source: string;
  /** In JWKS order. Never empty: a set without a usable key is not in the bundle. */
  readonly keys: readonly BundleKey[];
}

/** The program of the pods whose policy-relevant labels are `labels`. */
export interface Variant {
  /** All labels of the pod whose keys are in `Bundle.relevantLabels`. */
  readonly labels: Readonly<Record<string, string>>;
  /** Index into `Bundle.programs`. */
  readonly program: number;
}

/** The compiled policies of one workload, for every variant of its pods. */
export interface Bundle {
  readonly schema: typeof BUNDLE_SCHEMA;
  readonly workload: WorkloadRef;
  /** Label keys that selectors in scope use, sorted. */
  readonly relevantLabels: readonly string[];
  /** Sorted by their labels; at least one. */
  readonly variants: readonly Variant[];
  readonly programs: readonly Program[];
  /** By `JwtProvider.keySet`. */
  readonly keySets: Readonly<Record<string, KeySet>>;
}

/** A bundle in its wire format. */
export interface EncodedBundle {
  readonly workload: WorkloadRef;
  /** `sha256:` + 64 hex digits, the hash of `json`. */
  readonly digest: string;
  /** Canonical JSON (sorted keys). */
  readonly json: string;
  /** The same in chunks, of which many bundles share some. */
  readonly chunks: readonly Chunk[];
}
