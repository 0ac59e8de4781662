/*
 * Why the feed does not serve an agent. The reasons are labels of a metric, so the lists are closed.
 */

/** Why a connection gets no stream. `unavailable`: the keys of the cluster, or this replica's caches, are not read yet. */
export type RefusalReason = 'protocol' | 'token' | 'pod' | 'address' | 'full' | 'not-leading' | 'unavailable';

/** Why a stream ended. */
export type CloseReason =
  /** The agent, or the network, ended it. */
  | 'agent'
  /** The pod opened another one, and nothing came over this one since. */
  | 'replaced'
  /** No report for too long. */
  | 'silent'
  /** A bundle was not read in time. */
  | 'slow'
  /** A bundle was not acknowledged in time. */
  | 'unacknowledged'
  /** A frame that is not of the protocol. */
  | 'garbage'
  /** Too many frames, or pods. */
  | 'flood'
  /** An agent that serves a node named a pod that is not there. */
  | 'foreign'
  /** The token expired. */
  | 'expired'
  /** The pod was deleted, has terminated, or has another address or no agent any more. */
  | 'pod'
  /** The leader, for which this replica serves agents, does not count it: the pod has a newer stream, or the leader does not know the pod. */
  | 'leader'
  /** This replica stops, or can neither lead nor reach the leader. */
  | 'stopping';

/** A connection that gets no stream. */
export class FeedRefusal extends Error {
  override readonly name: string = 'FeedRefusal';
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.reason = reason;
  }
}
