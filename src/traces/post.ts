/*
 * One POST of spans to a collector.
 */
import { Agent, type IncomingMessage, request } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import type { LIMITS } from '../limits/agent-limits.ts';
import { startDeadline } from '../limits/timers.ts';

/** What a collector answered; or `failed`: it did not, and may be reached later. */
export type PostResult =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string; readonly body: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** Sends requests to one endpoint over one connection. */
export interface Poster {
  /** Never rejects. @param ms deadline for the whole response */
  post(body: string, ms: number): Promise<PostResult>;
  /** Ends the connection, and with it a POST in progress, which has failed then. */
  close(): void;
}

type Limits = Pick<typeof LIMITS, 'spanExportTime' | 'spanResponseBytes'>;

/** @param url with the path for traces */
export function createPoster(url: URL, limits: Limits): Poster {
  const isSecure = url.protocol === 'https:';
  const agent = new (isSecure ? SecureAgent : Agent)({ keepAlive: true, maxSockets: 1 });
  return {
    post: (body, ms) =>
      new Promise((resolve) => {
        const fail = (error: Error): void => resolve({ kind: 'failed', reason: reasonOf(error) });
        const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'user-agent': 'sallyport' };
        const sent = (isSecure ? secureRequest : request)(url, { method: 'POST', agent, headers });
        const cancel = startDeadline(limits.spanExportTime, () => sent.destroy(new Error('no response in time')), { ms });
        sent.on('error', fail).on('close', cancel);
        sent.on('response', (response) => {
          response.on('error', fail);
          void readStart(response, limits.spanResponseBytes.value).then((text) => {
            const { statusCode = 0, headers: answered } = response;
            resolve({ kind: 'answered', status: statusCode, retryAfter: answered['retry-after'] ?? '', body: text });
          }, fail);
        });
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
}

/** Reads all of a body and keeps its start. */
async function readStart(response: IncomingMessage, bytes: number): Promise<string> {
  let start = '';
  for await (const part of response.setEncoding('latin1')) if (start.length < bytes) start += String(part).slice(0, bytes - start.length);
  return start;
}

/** Node.js has no message when all addresses of a name fail. */
function reasonOf(error: Error & { readonly code?: string }): string {
  return error.message === '' ? (error.code ?? error.name) : error.message;
}
