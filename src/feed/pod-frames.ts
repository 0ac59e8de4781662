/*
 * Frames about one pod of many, on a stream of an agent that serves a node: the type, the length of the name, `namespace/name`, the payload.
 */
import type { Frame } from './frames.ts';

const HEAD_BYTES = 3;
const LENGTH_AT = 1;
/** Most bytes before the payload: a name has at most 253 bytes, a namespace 63. */
export const MAX_POD_HEAD_BYTES: number = HEAD_BYTES + 63 + 1 + 253;
/** DNS labels; what else Kubernetes would refuse does not exist. */
const POD = /^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/;

/** A frame about a pod. */
export interface PodFrame extends Frame {
  /** `namespace/name` */
  readonly pod: string;
}

/** The bytes before the payload. @param type of the frame about the pod */
export function podFrameHead(type: number, pod: string): Buffer {
  const name = Buffer.from(pod);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(type);
  head.writeUInt16BE(name.length, LENGTH_AT);
  return Buffer.concat([head, name]);
}

/** The frame in the payload of another one; undefined: it has none. */
export function parsePodFrame(bytes: Buffer): PodFrame | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const end = HEAD_BYTES + bytes.readUInt16BE(LENGTH_AT);
  const pod = bytes.subarray(HEAD_BYTES, end).toString('latin1');
  if (end > bytes.length || end > MAX_POD_HEAD_BYTES || !POD.test(pod)) return undefined;
  return { type: bytes.readUInt8(), pod, payload: bytes.subarray(end) };
}
