/*
 * Which profile a request asks for. The paths are those of Go's net/http/pprof; with the extension of a file, the profile is in the
 * format of V8 that programs know by this extension.
 */

import { PROFILE_LIMITS } from '../limits/profile-limits.ts';

/** What is measured: CPU time; memory that is still in use at the end; all memory that was allocated. */
export type ProfileKind = 'cpu' | 'heap' | 'allocs';

/** A profile that a client wants. */
export interface ProfileRequest {
  readonly kind: ProfileKind;
  /** `v8`: JSON, as in `.cpuprofile` and `.heapprofile`; `pprof`: gzip of protobuf. */
  readonly format: 'pprof' | 'v8';
  readonly ms: number;
  /** Name of a file for it. */
  readonly file: string;
}

/** Why there is no profile; one line. */
export interface RefusedRequest {
  readonly status: number;
  readonly reason: string;
}

type Served = Pick<ProfileRequest, 'kind' | 'format' | 'file'>;

/** By path. */
const PROFILES: Readonly<Record<string, Served>> = {
  '/debug/pprof/profile': { kind: 'cpu', format: 'pprof', file: 'cpu.pb.gz' },
  '/debug/pprof/heap': { kind: 'heap', format: 'pprof', file: 'heap.pb.gz' },
  '/debug/pprof/allocs': { kind: 'allocs', format: 'pprof', file: 'allocs.pb.gz' },
  '/debug/pprof/profile.cpuprofile': { kind: 'cpu', format: 'v8', file: 'profile.cpuprofile' },
  '/debug/pprof/heap.heapprofile': { kind: 'heap', format: 'v8', file: 'heap.heapprofile' },
  '/debug/pprof/allocs.heapprofile': { kind: 'allocs', format: 'v8', file: 'allocs.heapprofile' },
};

const MAX_SECONDS = PROFILE_LIMITS.profileTime.value / 1000;

/** Text that lists the paths. */
export const PROFILE_INDEX: string = [
  `Each profile is taken for ?seconds=10 (1 to ${MAX_SECONDS}), one at a time.`,
  '',
  ...Object.keys(PROFILES),
  '',
  'profile: CPU time. heap: memory that was allocated during these seconds and is still in use at their end. allocs: all that was allocated.',
  'Without extension for `go tool pprof`, with .cpuprofile or .heapprofile for Chrome DevTools and Visual Studio Code.',
  '',
].join('\n');

/**
 * @param target the request target as received
 * @returns `index` for the list of profiles
 */
export function parseProfileRequest(target: string): ProfileRequest | RefusedRequest | 'index' {
  const url = target.length > PROFILE_LIMITS.targetLength.value ? null : URL.parse(target, 'http://127.0.0.1');
  if (url === null) return { status: 400, reason: 'the request target is not valid' };
  if (url.pathname === '/debug/pprof/' || url.pathname === '/debug/pprof') return 'index';
  const served = Object.hasOwn(PROFILES, url.pathname) ? PROFILES[url.pathname] : undefined;
  if (served === undefined) return { status: 404, reason: 'no such profile; /debug/pprof/ lists them' };
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'seconds');
  if (unknown !== undefined)
    return { status: 400, reason: `the parameter ${JSON.stringify(unknown)} is not known; the only one is "seconds"` };
  const [text, second] = url.searchParams.getAll('seconds');
  if (text === undefined) return { ...served, ms: PROFILE_LIMITS.defaultProfileTime.value };
  if (second !== undefined) return { status: 400, reason: `seconds: ${JSON.stringify(text)} is given twice` };
  const value = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > MAX_SECONDS)
    return { status: 400, reason: `seconds: ${JSON.stringify(text)} is not an integer from 1 to ${MAX_SECONDS}` };
  return { ...served, ms: value * 1000 };
}
