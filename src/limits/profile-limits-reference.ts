/*
 * Descriptions of the limits of profiles, for the reference page.
 */
import type { LimitReference } from './agent-limits-reference.ts';
import type { ProfileLimitName } from './profile-limits.ts';

/** By their names in code. */
export const PROFILE_LIMITS_REFERENCE: Readonly<Record<ProfileLimitName, LimitReference>> = {
  profileTime: { part: 'profiles', bounds: 'time of one profile, of which there is one at a time', beyond: '400' },
  defaultProfileTime: {
    part: 'profiles',
    bounds: 'the same without `seconds` in the request',
    set: 'parameter `seconds`',
    beyond: 'it ends',
  },
  sampleInterval: { part: 'profiles', bounds: 'shortest time between two samples of a CPU profile', beyond: 'nothing is lost' },
  samples: { part: 'profiles', bounds: 'samples of a CPU profile', beyond: 'the time between two samples is longer' },
  heapInterval: { part: 'profiles', bounds: 'mean number of bytes from one sample of `heap` to the next', beyond: 'there is a sample' },
  allocsInterval: { part: 'profiles', bounds: 'the same of `allocs`, which keeps every sample', beyond: 'there is a sample' },
  allocationStack: { part: 'profiles', bounds: 'functions in the stack of an allocation', beyond: 'the outermost ones are left out' },
  profileBytes: { part: 'profiles', bounds: 'bytes of a profile', beyond: '500', labels: 'result="failed"' },
  sendTime: { part: 'profiles', bounds: 'time to send a profile', beyond: 'the connection is closed', labels: 'result="canceled"' },
  connections: { part: 'profiles', bounds: 'connections to the port for profiles', beyond: 'the new connection is closed' },
  requestTime: { part: 'profiles', bounds: 'time for a request to arrive', beyond: '408, connection closed' },
  targetLength: { part: 'profiles', bounds: 'characters of a path and its query', beyond: '400' },
};
