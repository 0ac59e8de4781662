/*
 * Reads recorded cases from files: what Istio with Envoy decided for policies, a workload and requests. README.md describes the
 * format.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { JwtRule } from '../../src/api/istio/resources.ts';

export interface RecordedPort {
  readonly number: number;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly undeclared?: boolean;
}

export interface RecordedWorkload {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ip: string;
  readonly ports: readonly RecordedPort[];
}

export interface RecordedUpstream {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string;
}

export interface Observed {
  readonly outcome: 'allow' | 'deny' | 'unauthenticated' | 'reject' | 'refused';
  readonly status?: number;
  readonly details?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly dryRun?: Readonly<Record<string, string>>;
  readonly upstream?: RecordedUpstream;
}

export interface RecordedRequest {
  readonly name: string;
  readonly port: number;
  readonly method?: string;
  readonly path?: string;
  /** Value of the Host header; `-`: no header. */
  readonly host?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly raw?: string;
  readonly http2?: boolean;
  readonly source: { readonly ip: string; readonly principal?: string; readonly sni?: string };
  /** Time of the record in Unix seconds; absent: the decision does not depend on the time, because no token expires near it. */
  readonly at?: number;
  /** Absent: Envoy rejected the configuration and served no request. */
  readonly observed?: Observed;
  /** `observed` has only what a client and an agent's access log show. */
  readonly isSeenOnTheWire?: true;
}

export interface RecordedRejection {
  /** `Kind/namespace/name`. */
  readonly resource: string;
  readonly stage: 'crd' | 'webhook' | 'decode';
  readonly error: string;
}

export interface RecordedResource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly creationTimestamp?: string };
  /** As in the file and not validated: members may be missing or of another type. */
  readonly spec?: { readonly jwtRules?: readonly JwtRule[] };
}

/** Supported kinds. A PeerAuthentication in a record is skipped: its effect on TLS is part of the sources of the requests. */
const OUR_KINDS: ReadonlySet<string> = new Set(['RequestAuthentication', 'AuthorizationPolicy']);

export interface RecordedCase {
  /** File name without `.json`. */
  readonly file: string;
  readonly name: string;
  readonly meshConfig?: Readonly<Record<string, unknown>>;
  readonly istioFeatures?: Readonly<Record<string, unknown>>;
  /** Header values of providers are not published to the workload's namespace. Absent: they are public. */
  readonly secretCheckHeaders?: boolean;
  readonly workload: RecordedWorkload;
  /** How the tokens in the requests were created. */
  readonly tokens?: Readonly<Record<string, unknown>>;
  readonly jwksServers?: Readonly<Record<string, string>>;
  readonly applyInvalid?: boolean;
  readonly resources: readonly RecordedResource[];
  readonly requests: readonly RecordedRequest[];
  readonly istio: {
    readonly rejected?: readonly RecordedRejection[];
    readonly envoyRejected?: string;
    /** Version of the recorder; 2: records contain every header of replies and of forwarded requests. Absent: an older one. */
    readonly recorder?: number;
    readonly warnings?: readonly { readonly resource: string; readonly error: string }[];
  };
}

/** All cases in a directory tree, or of one file, by name. @throws Error that names an invalid file, or a directory without cases */
export function readCases(path: string): readonly RecordedCase[] {
  const files = path.endsWith('.json')
    ? [path]
    : readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.json'))
        .sort()
        .map((name) => join(path, name));
  if (files.length === 0) throw new Error(`${path}: no case (*.json) found`);
  return files.map(readCase);
}

function readCase(file: string): RecordedCase {
  let recorded: RecordedCase;
  try {
    recorded = JSON.parse(readFileSync(file, 'utf8'), withLongBodies) as RecordedCase;
  } catch (cause) {
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const missing = (['workload', 'resources', 'requests', 'istio'] as const).find((member) => typeof recorded?.[member] !== 'object');
  if (missing !== undefined) throw new Error(`${file}: not a recorded case: ${missing} is missing`);
  return { ...recorded, file: basename(file, '.json'), resources: recorded.resources.filter(({ kind }) => OUR_KINDS.has(kind)) };
}

/** A body of a megabyte is written as `{ "repeat": "x", "times": 1048577 }`. */
function withLongBodies(name: string, value: unknown): unknown {
  if (name !== 'body' || typeof value !== 'object' || value === null || !('repeat' in value && 'times' in value)) return value;
  return String(value.repeat).repeat(Number(value.times));
}
