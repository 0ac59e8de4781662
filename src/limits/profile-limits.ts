/*
 * Limits of profiles, in agent and controller. Apart from `agent-limits.ts`, because only the file that takes profiles needs them.
 * `profile-limits-reference.ts` describes each.
 */
import { bytes, count, deadline, interval, type Limit } from './limit.ts';

const KIB = 1024;
/** In the agent; the controller counts the same in `sallyport_profiles_total`. */
const PROFILES = 'sallyport_agent_profiles_total';

/** Name of a limit of profiles in code. */
export type ProfileLimitName =
  | 'profileTime'
  | 'defaultProfileTime'
  | 'sampleInterval'
  | 'samples'
  | 'heapInterval'
  | 'allocsInterval'
  | 'allocationStack'
  | 'profileBytes'
  | 'sendTime'
  | 'connections'
  | 'requestTime'
  | 'targetLength';

/** The limits by the name that code uses. */
export const PROFILE_LIMITS: Readonly<Record<ProfileLimitName, Limit>> = {
  profileTime: deadline('profile-time', 60_000, ''),
  defaultProfileTime: interval('default-profile-time', 10_000),
  sampleInterval: interval('profile-sample-interval', 1),
  samples: count('profile-samples', 20_000, ''),
  heapInterval: bytes('profile-heap-interval', 64 * KIB, ''),
  allocsInterval: bytes('profile-allocs-interval', 512 * KIB, ''),
  allocationStack: count('profile-allocation-stack', 64, ''),
  profileBytes: bytes('profile-bytes', 16 * KIB * KIB, PROFILES),
  sendTime: deadline('profile-send-time', 30_000, PROFILES),
  connections: count('profile-connections', 8, ''),
  requestTime: deadline('profile-request-time', 5000, ''),
  targetLength: count('profile-target-length', 256, ''),
};
