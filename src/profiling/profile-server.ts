/*
 * Serves CPU and heap profiles of this process on the loopback address, one at a time.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { PROFILE_LIMITS } from '../limits/profile-limits.ts';
import { startDeadline } from '../limits/timers.ts';
import type { ProfileResult } from '../telemetry/agent-metrics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { encodePprof } from './pprof.ts';
import { PROFILE_INDEX, type ProfileKind, type ProfileRequest, parseProfileRequest } from './profile-request.ts';
import { takeProfile } from './take-profile.ts';

/** Port and observers of the server. */
export interface ProfileServerOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly logger: Logger;
  readonly wallMs: () => number;
  /** `busy` while another profile is taken, `canceled` when the client or the process left first. */
  readonly onProfile: (result: ProfileResult) => void;
}

/** A server that listens. */
export interface ProfileServer {
  readonly port: number;
  /** Ends a profile in progress, and closes the port and all connections. */
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
/** What a client names when it means this port: any other name may be one of a web page that leads here. */
const LOOPBACK_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/i;
const compress = promisify(gzip);

/** Starts the server. @throws the system's error when the port is in use */
export async function startProfileServer(options: ProfileServerOptions): Promise<ProfileServer> {
  const profiles = new Profiles(options);
  const timeout = PROFILE_LIMITS.requestTime.value;
  const server = createServer({ requestTimeout: timeout, headersTimeout: timeout, keepAliveTimeout: 1 }, (request, response) => {
    void profiles.serve(request, response);
  });
  server.maxConnections = PROFILE_LIMITS.connections.value;
  await listen(server, options.port);
  const { port } = server.address() as AddressInfo;
  options.logger.info({ port }, 'profiles are served on the loopback address');
  return {
    port,
    close: async () => {
      profiles.stop();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, LOOPBACK, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

class Profiles {
  readonly #options: ProfileServerOptions;
  readonly #stopping = new AbortController();
  /** Undefined: no profile is taken or sent. */
  #current: { readonly kind: ProfileKind; readonly endMs: number } | undefined;

  constructor(options: ProfileServerOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = refusalOf(request);
    if (refusal !== undefined) return answer(response, refusal.status, refusal.reason);
    const wanted = parseProfileRequest(request.url ?? '/');
    if (wanted === 'index') return answer(response, 200, PROFILE_INDEX);
    if ('reason' in wanted) return answer(response, wanted.status, wanted.reason);
    const { kind } = wanted;
    if (this.#current !== undefined) return this.#refuseBusy(this.#current, response);
    this.#current = { kind, endMs: this.#options.wallMs() + wanted.ms };
    try {
      this.#options.onProfile(await this.#profile(wanted, response));
    } catch (error) {
      this.#options.logger.error({ err: error, profile: kind }, 'profile failed');
      this.#options.onProfile('failed');
      answer(response, 500, 'the profile failed; the log says why');
    } finally {
      this.#current = undefined;
    }
  }

  /** Takes and sends a profile. It counts as the current one until it is sent, so that there is never more than one in memory. */
  async #profile({ kind, format, ms, file }: ProfileRequest, response: ServerResponse): Promise<ProfileResult> {
    const { wallMs, logger } = this.#options;
    const left = new AbortController();
    const closed = new Promise<void>((resolve) => response.on('close', resolve));
    void closed.then(() => left.abort());
    const startMs = wallMs();
    logger.info({ profile: kind, seconds: ms / 1000 }, 'profile begins');
    const taken = await takeProfile(kind, ms, AbortSignal.any([left.signal, this.#stopping.signal]));
    if (taken === undefined) return 'canceled';
    const body = format === 'v8' ? Buffer.from(JSON.stringify(taken.profile)) : await compress(encodePprof(taken, startMs));
    const most = PROFILE_LIMITS.profileBytes.value;
    if (body.length > most) {
      answer(response, 500, `the profile has ${body.length} bytes, more than ${most}: take a shorter one`);
      return 'failed';
    }
    const cancel = startDeadline(PROFILE_LIMITS.sendTime, () => response.destroy());
    response.writeHead(200, {
      'content-type': format === 'v8' ? 'application/json' : 'application/octet-stream',
      'content-length': body.length,
      'content-disposition': `attachment; filename="${file}"`,
      ...COMMON,
    });
    response.end(body);
    await closed;
    cancel();
    return response.writableFinished ? 'taken' : 'canceled';
  }

  #refuseBusy(current: { readonly kind: ProfileKind; readonly endMs: number }, response: ServerResponse): void {
    const seconds = Math.max(1, Math.ceil((current.endMs - this.#options.wallMs()) / 1000));
    this.#options.onProfile('busy');
    response.setHeader('retry-after', String(seconds));
    answer(response, 409, `another profile (${current.kind}) is being taken; try again in ${seconds} s`);
  }
}

/** Why a request gets nothing, whatever its target is. */
function refusalOf({ method, headers }: IncomingMessage): { readonly status: number; readonly reason: string } | undefined {
  const { host = '', origin } = headers;
  if (!LOOPBACK_HOST.test(host))
    return { status: 403, reason: `Host ${JSON.stringify(host.slice(0, 100))} is not 127.0.0.1 or localhost; use kubectl port-forward` };
  const site = headers['sec-fetch-site'];
  if (origin !== undefined || (site !== undefined && site !== 'none' && site !== 'same-origin'))
    return { status: 403, reason: 'a web page may not ask for profiles' };
  return method === 'GET' ? undefined : { status: 405, reason: 'only GET' };
}

const COMMON = { connection: 'close', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = text.endsWith('\n') ? text : `${text}\n`;
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body), ...COMMON });
  response.end(body);
}
