/*
 * The feed between controller and agent, version 1: an HTTPS request of the agent that switches to frames. The agent reports what it
 * enforces, first and whenever that changes; the controller sends the signed files of the agent's bundle as they are published.
 */

/** Token of the header `Upgrade`; another version has another one. */
export const FEED_PROTOCOL = 'sallyport-feed/1';
/** Path of the request. */
export const FEED_PATH = '/feed';

/** Header of the response 101: what the controller reads beyond reports, comma-separated. Absent: nothing. */
export const ACCEPTS_HEADER = 'sallyport-accepts';
/** Value of {@link ACCEPTS_HEADER}. */
export const UNKNOWN_KEYS = 'unknown-keys';

/** Header of the request: what the agent reads beyond whole bundles, comma-separated. Absent: nothing. */
export const TAKES_HEADER = 'sallyport-takes';
/** Value of {@link TAKES_HEADER}: frames of type {@link DOWN.parts}. */
export const PARTS = 'parts';
/** Value of {@link TAKES_HEADER}: the stream serves the pods of a node, and all frames but signs of life and authorities are about one of them. */
export const PODS = 'pods';
/** Header of the request: the number of the bundle whose parts the agent has, from the last frame of type {@link DOWN.parts} of an earlier stream. */
export const HOLDS_HEADER = 'sallyport-holds';

/** Types of the frames from the controller. */
export const DOWN = {
  /** Nothing new; empty. */
  alive: 0,
  /** Files of a bundle and of the namespace's index, see `joinFiles`, under their names in the mounted volume. */
  bundle: 1,
  /** Certificates in PEM that the next connections of the agent have to trust, in addition to those that it has from injection. */
  authorities: 2,
  /**
   * The same as `bundle` in parts (`parts.ts`), of which those are left out that the agent has. After a `bundle`, it has none. To an agent whose
   * request has {@link TAKES_HEADER} with {@link PARTS}.
   */
  parts: 3,
  /** A frame about one pod (`pod-frames.ts`), to an agent that serves a node. */
  ofPod: 4,
  /** About a pod: the controller serves it no more over this stream; empty. Another report about the pod asks for it again. */
  ended: 5,
} as const;

/** Types of the frames from the agent. */
export const UP = {
  /** {@link AgentReport} in JSON. */
  report: 1,
  /** {@link UnknownKeys} in JSON, after a report, to a controller whose response has {@link ACCEPTS_HEADER} with {@link UNKNOWN_KEYS}. */
  unknownKeys: 2,
  /** A frame about one pod, from an agent that serves a node. The first report about a pod asks for its bundles. */
  ofPod: 3,
  /** About a pod: the agent serves it no more; empty. */
  leave: 4,
} as const;

/** Largest payload of a frame from the controller: two parts of a bundle, the index, statements and lists of keys. */
export const MAX_DOWN_BYTES: number = 4 * 1024 * 1024;
/** Largest payload of a frame from the agent. */
export const MAX_UP_BYTES = 1024;
/** Longest time between two frames of one side, in milliseconds. The other side closes the stream after {@link SILENCE_MS}. */
export const HEARTBEAT_MS = 15_000;
/** Time without a frame after which the peer counts as gone, in milliseconds. */
export const SILENCE_MS = 50_000;

/** What an agent says about itself. */
export interface AgentReport {
  /** Digest of the bundle by which it decides requests; `''`: it has none, and refuses all. */
  readonly digest: string;
  /** Number of the bundle that it accepted last; 0: none. */
  readonly number: number;
  /** Frames of type `bundle` and `parts` that it has processed on this stream. */
  readonly received: number;
  /** It lacks a part that the last frame named, and needs the whole bundle; absent: it does not. */
  readonly missing?: true;
  /** Code of why it refused the last bundle; absent: it did not. */
  readonly refused?: string;
}

/** Ids of key sets that are fetched, as in bundles. */
export const FETCHED_KEY_SET: RegExp = /^remote-[0-9a-f]{16}$/;
/** Characters of one entry of {@link UnknownKeys} in JSON. */
export const UNKNOWN_KEY_BYTES = 45;

/** Keys that tokens named and that the bundle of the agent lacks: the id of the key set, and the hash of one `kid` that it lacks. */
export type UnknownKeys = ReadonlyMap<string, string>;

/** Unknown keys as the payload of a frame. */
export function encodeUnknownKeys(keys: Iterable<readonly [keySet: string, kid: string]>): Buffer {
  return Buffer.from(JSON.stringify(Object.fromEntries(keys)));
}

/** The report as the payload of a frame. */
export function encodeReport(report: AgentReport): Buffer {
  return Buffer.from(JSON.stringify(report));
}
