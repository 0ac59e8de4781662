/*
 * One call of grpc.health.v1.Health/Check without a gRPC library: two small messages over node:http2, which is loaded only when a pod
 * has a gRPC probe.
 */
import type { ClientHttp2Session } from 'node:http2';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteParts } from '../../limits/containers.ts';
import { startDeadline } from '../../limits/timers.ts';

/** Which server to check, and for how long to wait. */
export interface GrpcProbe {
  readonly host: string;
  readonly port: number;
  /** Absent or empty: the server as a whole. */
  readonly service?: string;
  readonly timeoutMs: number;
}

const SERVING = 1;
const FIELD_1_STRING = 0x0a;
const FIELD_1_VARINT = 0x08;

/** @returns 200 when the service is serving, else 503 @throws Error when the server cannot be reached */
export async function probeGrpc(probe: GrpcProbe): Promise<number> {
  const { connect } = await import('node:http2');
  const authority = `http://${probe.host.includes(':') ? `[${probe.host}]` : probe.host}:${probe.port}`;
  const session = connect(authority);
  const cancel = startDeadline(LIMITS.probeTime, () => session.destroy(new Error('timeout')), { ms: probe.timeoutMs });
  try {
    return isServing(await call(session, requestFrame(probe.service ?? ''))) ? 200 : 503;
  } finally {
    cancel();
    session.destroy();
  }
}

function call(session: ClientHttp2Session, frame: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    session.on('close', () => reject(new Error('connection closed')));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const reply = new ByteParts(LIMITS.probeResponseBytes);
    stream.on('error', reject);
    stream.on('data', (chunk: Buffer) => {
      if (!reply.push(chunk)) stream.destroy(new Error('response too long'));
    });
    stream.on('end', () => resolve(reply.take() ?? Buffer.alloc(0)));
    stream.end(frame);
  });
}

/** HealthCheckRequest{service} in a gRPC frame. */
function requestFrame(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([FIELD_1_STRING, ...varint(name.length)]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  return [...bytes, left];
}

/** Is the reply a HealthCheckResponse whose status is SERVING? */
function isServing(reply: Buffer): boolean {
  return reply.length >= 7 && reply[0] === 0 && reply[5] === FIELD_1_VARINT && reply[6] === SERVING;
}
