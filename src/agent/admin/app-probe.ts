/*
 * Runs the probes and lifecycle hooks of the application in place of the kubelet: requests that bypass the policies.
 */
import { connect, type Socket } from 'node:net';
import { APP_HOOKS, type AppProbe } from '../../api/kube/agent-contract.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { Limit } from '../../limits/limit.ts';
import { startDeadline } from '../../limits/timers.ts';
import { probeGrpc } from './grpc-probe.ts';

/** Response for the kubelet: 200 to 399 is a success of a probe. */
export interface ProbeResult {
  /** {@link NO_RESPONSE}: the connection is closed without a response. */
  readonly status: number;
  readonly text: string;
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-5][0-9]{2})[ \r]/;
const UNFIT_PATH = /[^\x21-\x7e]/;
const UNFIT_HEADER = /[^\t\x20-\x7e\x80-\xff]/;
const FAILED = 500;
/** The kubelet takes any response to a hook for a success, and an error of the connection for a failure. */
export const NO_RESPONSE = 0;
const HOOK_NAMES: ReadonlySet<string> = new Set(Object.values(APP_HOOKS));

/** The outcome of `probe` against `host`; never rejects. */
export async function runAppProbe(probe: AppProbe, host: string): Promise<ProbeResult> {
  const timeoutMs = probe.timeoutSeconds === undefined ? LIMITS.probeTime.value : probe.timeoutSeconds * 1000;
  try {
    if (probe.httpGet !== undefined)
      return result(await probeHttp(probe.httpGet, host, { limit: LIMITS.probeTime, timeoutMs, userAgent: 'kube-probe/sallyport' }));
    if (probe.tcpSocket !== undefined) return result(await probeTcp(probe.tcpSocket.port, host, timeoutMs));
    if (probe.grpc !== undefined) return result(await probeGrpc({ host, timeoutMs, ...probe.grpc }));
    return { status: FAILED, text: 'no handler\n' };
  } catch (error) {
    return { status: FAILED, text: `probe failed: ${error instanceof Error ? error.message : 'unknown'}\n` };
  }
}

/** Whether the probe called `<container>/<word>` is a lifecycle hook. */
export function isAppHook(name: string): boolean {
  return HOOK_NAMES.has(name.slice(name.lastIndexOf('/') + 1));
}

/** The outcome of the HTTP lifecycle hook `hook` against `host`: {@link NO_RESPONSE} where the kubelet would see no response; never rejects. */
export async function runAppHook({ httpGet, timeoutSeconds }: AppProbe, host: string): Promise<ProbeResult> {
  try {
    if (httpGet === undefined) throw new Error('no handler');
    const timeoutMs = timeoutSeconds === undefined ? LIMITS.hookTime.value : timeoutSeconds * 1000;
    return result(await probeHttp(httpGet, host, { limit: LIMITS.hookTime, timeoutMs, userAgent: 'kube-lifecycle/sallyport' }));
  } catch (error) {
    return { status: NO_RESPONSE, text: `hook failed: ${error instanceof Error ? error.message : 'unknown'}\n` };
  }
}

function result(status: number): ProbeResult {
  return { status, text: status >= 200 && status < 400 ? 'ok\n' : `application answered ${status}\n` };
}

type HttpGet = NonNullable<AppProbe['httpGet']>;

interface HttpOptions {
  readonly limit: Limit;
  readonly timeoutMs: number;
  readonly userAgent: string;
}

/** @returns the application's status; redirects are not followed and count as success, almost as for the kubelet */
async function probeHttp(get: HttpGet, host: string, { limit, timeoutMs, userAgent }: HttpOptions): Promise<number> {
  const socket = await openSocket(get, host);
  return await new Promise((resolve, reject) => {
    let head = '';
    const cancel = startDeadline(limit, () => socket.destroy(new Error('timeout')), { ms: timeoutMs });
    socket.on('error', reject);
    socket.on('close', () => {
      cancel();
      reject(new Error('no HTTP response'));
    });
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1');
      const status = STATUS_LINE.exec(head)?.[1];
      if (status === undefined && head.length < LIMITS.probeResponseBytes.value) return;
      // The body is not needed; interim responses are rare enough to count as a response.
      socket.destroy();
      if (status === undefined) reject(new Error('no HTTP response'));
      else resolve(Number(status));
    });
    socket.write(requestHead(get, host, userAgent), 'latin1');
  });
}

async function openSocket(get: HttpGet, host: string): Promise<Socket> {
  if (get.scheme !== 'HTTPS') return connect({ host, port: get.port });
  const tls = await import('node:tls');
  // The kubelet does not verify certificates of probes either.
  return tls.connect({ host, port: get.port, rejectUnauthorized: false });
}

function requestHead(get: HttpGet, host: string, userAgent: string): string {
  const path = get.path === undefined || get.path === '' ? '/' : get.path;
  const headers = new Map([
    ['host', `${host.includes(':') ? `[${host}]` : host}:${get.port}`],
    ['user-agent', userAgent],
    ['accept', '*/*'],
    ['connection', 'close'],
  ]);
  for (const { name, value } of get.httpHeaders ?? []) headers.set(name.toLowerCase(), value);
  const flat = [...headers].flat();
  if (UNFIT_PATH.test(path) || flat.some((part) => UNFIT_HEADER.test(part))) throw new Error('probe cannot be written as an HTTP request');
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `GET ${path.startsWith('/') ? path : `/${path}`} HTTP/1.1\r\n${lines}\r\n`;
}

function probeTcp(port: number, host: string, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const cancel = startDeadline(LIMITS.probeTime, () => socket.destroy(new Error('timeout')), { ms: timeoutMs });
    socket.on('error', reject);
    socket.on('close', cancel);
    socket.on('connect', () => {
      socket.destroy();
      resolve(200);
    });
  });
}
