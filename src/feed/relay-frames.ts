/*
 * Between two replicas of the controller: agents hold streams to any of them, and only the leader publishes and writes statuses. A replica
 * that does not lead reports to the leader what its agents say, and gets the bundles that they need before the API server has them. The stream
 * is opened like that of an agent, with {@link REPLICA} in `TAKES_HEADER`.
 */
import type { Frame } from './frames.ts';
import { MAX_DOWN_BYTES, MAX_UP_BYTES } from './protocol.ts';

/** Value of `TAKES_HEADER`: the stream is that of another replica. */
export const REPLICA = 'replica';

/** Types of the frames to the leader. All but `alive` are about one agent: four bytes with the number of its stream, then the payload. */
export const RELAY_UP = {
  /** Nothing new; empty. */
  alive: 0,
  /** An agent holds a stream: who it is, in JSON. Before anything else about the stream. */
  claim: 1,
  /** The report of the agent, without what concerns the stream between it and the replica. */
  report: 2,
  /** Keys that the agent lacks, in JSON. */
  unknownKeys: 3,
  /** The stream has ended; empty. */
  leave: 4,
} as const;

/** Types of the frames from the leader. */
export const RELAY_DOWN = {
  /** Nothing new; empty. */
  alive: 0,
  /** The newest bundle of a workload of which the replica has agents. */
  bundle: 1,
  /** There is no bundle any more: the key of the workload. */
  withdrawn: 2,
  /** The leader does not count the agent any more, whose stream has to end: the number of the stream. */
  ended: 3,
} as const;

const ID_BYTES = 4;
/** Beyond a bundle of the largest size: the name of the workload and the sizes of chunks. */
const MAX_HEAD_BYTES = 256 * 1024;

/** Largest payload of a frame to the leader. */
export const MAX_RELAY_UP_BYTES: number = ID_BYTES + MAX_UP_BYTES;
/** Largest payload of a frame from the leader. */
export const MAX_RELAY_DOWN_BYTES: number = MAX_DOWN_BYTES + MAX_HEAD_BYTES;

/** A frame about the stream of one agent. */
export interface AgentFrame extends Frame {
  readonly id: number;
}

/** The payload of a frame about the stream of an agent. @param id 0 to 2 ** 32 - 1 */
export function agentPayload(id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(ID_BYTES);
  head.writeUInt32BE(id);
  return Buffer.concat([head, payload]);
}

/** Reads what {@link agentPayload} wrote; undefined: it did not. */
export function parseAgentFrame({ type, payload }: Frame): AgentFrame | undefined {
  if (payload.length < ID_BYTES) return undefined;
  return { type, id: payload.readUInt32BE(), payload: payload.subarray(ID_BYTES) };
}
