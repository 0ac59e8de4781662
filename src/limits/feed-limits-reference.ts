/*
 * Descriptions of the limits of the feed's client, for the reference page.
 */
import type { LimitReference } from './agent-limits-reference.ts';

const NOTHING = 'nothing is lost';

/** By their names in code. */
export const FEED_LIMITS_REFERENCE: Readonly<
  Record<
    | 'feedConnectTime'
    | 'feedSilence'
    | 'feedRetry'
    | 'feedLongestRetry'
    | 'feedReport'
    | 'feedAuthoritiesBytes'
    | 'unknownKeyBytes'
    | 'unknownKeyPause'
    | 'identityQuestion'
    | 'identityQuestions'
    | 'identityWait'
    | 'podIdentities'
    | 'podAccounts',
    LimitReference
  >
> = {
  feedConnectTime: {
    part: 'bundles',
    bounds: 'time until a controller has accepted a stream of the feed',
    beyond: 'the agent tries again after `feed-retry`',
  },
  feedSilence: {
    part: 'bundles',
    bounds: 'time without a frame from the controller; it sends one every 15 s',
    beyond: 'the agent closes the stream and opens another one',
  },
  feedRetry: {
    part: 'bundles',
    bounds: 'longest time until the agent opens another stream of the feed, chosen at random and doubled with each failure',
    beyond: NOTHING,
  },
  feedLongestRetry: { part: 'bundles', bounds: 'the same after many failures', beyond: NOTHING },
  feedReport: { part: 'bundles', bounds: 'time between two reports of the agent when nothing changes', beyond: NOTHING },
  feedAuthoritiesBytes: {
    part: 'bundles',
    bounds: 'certificates of authorities that a controller names for later streams',
    beyond: 'they are ignored',
  },
  unknownKeyBytes: {
    part: 'bundles',
    bounds: 'what the agent reports in one message of keys that tokens name and that its bundle lacks: one key of each source',
    beyond: 'the source that was noted first is left out, until a token names an unknown key of it again',
  },
  unknownKeyPause: { part: 'bundles', bounds: 'time between two such messages', beyond: NOTHING },
  identityQuestion: {
    part: 'bundles',
    bounds: 'time between two questions for the identities of pods; without an answer for 15 s, all are unknown',
    beyond: NOTHING,
  },
  identityQuestions: { part: 'bundles', bounds: 'such questions whose answers may still arrive', beyond: 'the oldest answer is ignored' },
  identityWait: {
    part: 'bundles',
    bounds: 'time that a policy with conditions on the peer waits for the identities of pods, while the one before it stays active',
    beyond: 'it becomes active; peers are unknown until an answer arrives',
  },
  podIdentities: {
    part: 'bundles',
    bounds: 'addresses of pods whose identity the agent knows',
    beyond: 'the address that was added first is unknown',
  },
  podAccounts: { part: 'bundles', bounds: 'ServiceAccounts of these pods', beyond: 'the account that was added first is stored twice' },
};
