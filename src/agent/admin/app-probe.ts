/*
 * Performs the probes that the kubelet would have made itself: HTTP, TCP and gRPC health checks against the application,
 * past the policies. In: a probe as the pod declared it. Out: what to answer the kubelet. Called by the admin server.
 */
import { type ClientRequest, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { AppProbe } from '../../api/kube/agent-contract.ts';
import { probeGrpc } from './grpc-probe.ts';

/** Answer for the kubelet: 200 to 399 is a success. */
export interface ProbeResult {
  readonly status: number;
  readonly text: string;
}

const DEFAULT_TIMEOUT_SECONDS = 1;
/** Most of the application's answer that is read; none of it is passed on. */
const MAX_BODY_BYTES = 10 * 1024;
const FAILED = 500;

/** The outcome of `probe` against `host`; never rejects. */
export async function runAppProbe(probe: AppProbe, host: string): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  try {
    if (probe.httpGet !== undefined) return result(await probeHttp(probe.httpGet, host, timeoutMs));
    if (probe.tcpSocket !== undefined) return result(await probeTcp(probe.tcpSocket.port, host, timeoutMs));
    if (probe.grpc !== undefined) return result(await probeGrpc({ host, timeoutMs, ...probe.grpc }));
    return { status: FAILED, text: 'no handler\n' };
  } catch (error) {
    return { status: FAILED, text: `probe failed: ${error instanceof Error ? error.message : 'unknown'}\n` };
  }
}

function result(status: number): ProbeResult {
  return { status, text: status >= 200 && status < 400 ? 'ok\n' : `application answered ${status}\n` };
}

type HttpGet = NonNullable<AppProbe['httpGet']>;

/** @returns the application's status; redirects are not followed and count as success, as they nearly do for the kubelet */
function probeHttp(get: HttpGet, host: string, timeoutMs: number): Promise<number> {
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/sallyport', accept: '*/*', connection: 'close' };
  for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const path = get.path === undefined || get.path === '' ? '/' : get.path;
  const target = {
    host,
    port: get.port,
    path: path.startsWith('/') ? path : `/${path}`,
    headers,
    signal: AbortSignal.timeout(timeoutMs),
    agent: false,
  };
  return new Promise((resolve, reject) => {
    // The kubelet does not verify certificates of probes either.
    const request: ClientRequest = get.scheme === 'HTTPS' ? httpsRequest({ ...target, rejectUnauthorized: false }) : httpRequest(target);
    request.on('error', reject);
    request.on('response', (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BODY_BYTES) response.destroy();
      });
      response.on('error', () => {});
      response.on('close', () => resolve(response.statusCode ?? FAILED));
    });
    request.end();
  });
}

function probeTcp(port: number, host: string, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('timeout')));
    socket.on('error', reject);
    socket.on('connect', () => {
      socket.destroy();
      resolve(200);
    });
  });
}
