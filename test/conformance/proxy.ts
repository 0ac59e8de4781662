/*
 * The runner through the agent's proxy: sends bytes of HTTP/1.1 or HTTP/2 on a loopback socket to an application that records what it
 * receives, and returns the outcome in the form of the records. Recorded addresses and identities, which a loopback socket
 * cannot have, replace those of the connection before the filter chain runs.
 */

import type { Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { CheckResponse } from '../../src/filters/check-response.ts';
import { createFilterChain, type FilterChain } from '../../src/filters/filter-chain.ts';
import type { Verdict } from '../../src/filters/verdict.ts';
import type { ConnectionFacts } from '../../src/policy/facts.ts';
import { OK, type Stage, stage } from '../unit/agent/loopback.ts';
import { httpChain } from '../unit/filters/chains.ts';
import type { Observed, RecordedCase, RecordedRequest, RecordedUpstream } from './case-file.ts';
import { exchangeHttp2 } from './http2-exchange.ts';
import { dryRun } from './library.ts';
import { connectAs, hasMeshIdentity, meshTermination } from './mesh-clients.ts';
import { connectionOf, http1Text } from './read-request.ts';
import { type SampleAuthorizer, startSampleAuthorizer } from './sample-server.ts';
import { type OpenCase, timeOf, type WayIn } from './way-in.ts';

const CLIENT_TIMEOUT_MS = 5000;

/** Runs requests through the proxy. */
export const proxyWay: WayIn = {
  name: 'proxy',
  hasFraming: true,
  takes: () => true,
  async open(recorded, built) {
    const inner = createFilterChain(built.program, built.bundle.keySets, {
      deferVerification: true,
      onBug(error) {
        throw error;
      },
    });
    return new Loopback(recorded, inner, built.program.http.custom.length + built.program.tcp.custom.length > 0).start();
  },
};

/** One case on real sockets; requests are sent one after the other. */
class Loopback implements OpenCase {
  readonly #recorded: RecordedCase;
  readonly #filterChain: FilterChain;
  readonly #asks: boolean;
  #authorizer: SampleAuthorizer | undefined;
  #stage!: Stage;
  /** Made with the first TCP connection. */
  #tcpStage: Stage | undefined;
  #current!: RecordedRequest;
  #received = '';

  constructor(recorded: RecordedCase, filterChain: FilterChain, asks: boolean) {
    this.#asks = asks;
    this.#recorded = recorded;
    this.#filterChain = filterChain;
  }

  async start(): Promise<this> {
    if (this.#asks) this.#authorizer = await startSampleAuthorizer();
    await this.#openStage();
    return this;
  }

  async #openStage(): Promise<void> {
    this.#stage = await stage({
      filterChain: httpChain((raw) => {
        const nowSeconds = timeOf(this.#current);
        const request = { ...raw, connection: this.#recordedConnection(raw.connection) };
        return atTime(this.#filterChain.evaluate(request, nowSeconds), nowSeconds);
      }),
      ...(this.#authorizer === undefined ? {} : { extAuthz: this.#authorizer.authorize }),
      upstream: (socket) => this.#serve(socket),
      appProtocol: 'http1',
      tls: await meshTermination(),
    });
  }

  /** The connection with the recorded addresses; what TLS says of it is that of the wire, but for the hash of the certificate. */
  #recordedConnection(actual: ConnectionFacts): ConnectionFacts {
    const recorded = connectionOf(this.#current, this.#recorded);
    if (!hasMeshIdentity(this.#current)) return recorded;
    const { sourceIp, destinationIp, destinationPort } = recorded;
    const { forwardedClientCert = '' } = actual;
    const redacted = forwardedClientCert.replace(/;Hash=[0-9a-f]{64};/, ';Hash=<redacted>;');
    return { ...actual, sourceIp, destinationIp, destinationPort, forwardedClientCert: redacted };
  }

  #serve(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      if (isWhole(this.#received)) {
        socket.write(OK);
      }
    });
  }

  async send(request: RecordedRequest): Promise<Observed> {
    this.#current = request;
    this.#received = '';
    if (isTcpPort(request, this.#recorded)) return await this.#connectTcp(request);
    this.#stage.records.length = 0;
    const answer = await this.#exchange(request);
    const record = this.#stage.records[0];
    const log = record?.verdict;
    const common = { status: answer.status, ...dryRun(log?.decision) };
    if (this.#received !== '') {
      return { outcome: 'allow', ...common, upstream: upstreamOf(this.#received) };
    }
    const details = record?.details === undefined || record.details === '' ? {} : { details: record.details };
    const body = answer.body === '' ? {} : { body: answer.body };
    return {
      outcome: log === undefined || log.outcome === 'none' ? 'reject' : log.outcome,
      ...common,
      ...details,
      headers: Object.fromEntries(answer.headers),
      ...body,
    };
  }

  /** Sends the bytes on a connection under the TCP rules. */
  async #connectTcp(request: RecordedRequest): Promise<Observed> {
    this.#tcpStage ??= await stage({
      filterChain: {
        ...httpChain(() => {
          throw new Error('an HTTP request on a TCP port');
        }),
        evaluateConnection: (actual) => this.#filterChain.evaluateConnection(this.#recordedConnection(actual)),
      },
      tls: await meshTermination(),
      ...(this.#authorizer === undefined ? {} : { extAuthz: this.#authorizer.authorize }),
      upstream: (socket) => socket.on('data', () => socket.end('served')),
      destination: (upstreamPort) => ({
        upstreamHost: '127.0.0.1',
        upstreamPort,
        destinationIp: undefined,
        destinationPort: this.#current.port,
        protocol: () => 'tcp',
      }),
    });
    const { port, tcpRecords, seen } = this.#tcpStage;
    tcpRecords.length = 0;
    seen.length = 0;
    const answer = await exchangeTcp(await connectAs(request, port, 'tcp'), request.raw ?? '');
    while (tcpRecords.length === 0) await setTimeout(1);
    const [record] = tcpRecords;
    if (record === undefined || (answer === 'served') !== (record.outcome === 'allow')) throw new Error('the wire and the record differ');
    if (record.outcome === 'deny' && seen.length > 0) throw new Error('bytes of a denied connection reached the application');
    // The records lack the details of a connection that an ext_authz server denied.
    const details = record.details === '' || record.details === 'ext_authz_denied' ? {} : { details: record.details };
    return { outcome: record.outcome === 'allow' ? 'allow' : 'deny', ...details, ...dryRun(record.decision) };
  }

  /** After a failure the request may still be in flight: a new stage keeps it from being taken for the next one. */
  async #exchange(request: RecordedRequest): Promise<Answer> {
    try {
      const { port } = this.#stage;
      const isHttp2 = request.http2 === true && request.raw === undefined;
      const socket = await connectAs(request, port, isHttp2 ? 'http2' : 'http1');
      if (isHttp2) return await exchangeHttp2(socket, request, request.source.principal === undefined ? 'http' : 'https');
      return await exchange(socket, request.raw ?? http1Text(request), request.method === 'HEAD');
    } catch (error) {
      await this.#stage.stop();
      await this.#openStage();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#stage.stop();
    await this.#tcpStage?.stop();
    await this.#authorizer?.close();
  }
}

function isTcpPort({ port }: RecordedRequest, { workload }: RecordedCase): boolean {
  return workload.ports.find(({ number }) => number === port)?.protocol === 'tcp';
}

/** The verdict with the rest of the chain at the time of the record, not at that of the proxy. */
function atTime(verdict: Verdict, nowSeconds: number): Verdict {
  switch (verdict.kind) {
    case 'verify':
      return { ...verdict, resume: () => atTime(verdict.resume(nowSeconds), nowSeconds) };
    case 'check':
      return { ...verdict, resume: (response: CheckResponse) => atTime(verdict.resume(response, nowSeconds), nowSeconds) };
    default:
      return verdict;
  }
}

interface Message {
  readonly start: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

function parseMessage(text: string): Message | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) {
    return undefined;
  }
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const);
  return { start, headers, body: text.slice(end + 4) };
}

/** Whether the message is complete according to its head. A request for an upgrade is complete after its head. */
function isWhole(text: string): boolean {
  const message = parseMessage(text);
  const fields = new Map(message?.headers);
  if (message === undefined) {
    return false;
  }
  if (fields.has('upgrade')) return true;
  return fields.get('transfer-encoding') === 'chunked'
    ? message.body.endsWith('0\r\n\r\n')
    : message.body.length >= Number(fields.get('content-length') ?? 0);
}

function upstreamOf(text: string): RecordedUpstream {
  const { start, headers, body } = parseMessage(text) ?? { start: text, headers: [], body: '' };
  const method = start.slice(0, start.indexOf(' '));
  const path = start.slice(method.length + 1, start.lastIndexOf(' '));
  const payload = new Map(headers).get('transfer-encoding') === 'chunked' ? dechunk(body) : body;
  return { method, path, headers, ...(payload === '' ? {} : { body: payload }) };
}

/** Payload of a complete chunked body. */
function dechunk(body: string): string {
  let payload = '';
  for (let at = 0; ; ) {
    const line = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.slice(at, line), 16);
    if (!(size > 0)) return payload;
    payload += body.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

/** What the client got. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const CONTINUE = /^HTTP\/1\.1 100 [^\r]*\r\n\r\n/;

/** Sends `bytes` and reads until the application answers, or the end. */
function exchangeTcp(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text === 'served') socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve(text));
    socket.write(Buffer.from(bytes, 'utf8'));
  });
}

/** Sends `bytes` on a connection that was just opened, and reads one response. */
function exchange(socket: Socket, bytes: string, isHead: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const done = (): void => {
      const message = parseMessage(text);
      socket.destroy();
      if (message === undefined) reject(new Error(`no response to ${JSON.stringify(bytes.slice(0, 200))}: ${JSON.stringify(text)}`));
      else resolve({ ...message, ...(isHead ? { body: '' } : {}), status: Number(message.start.split(' ')[1]) });
    };
    socket.setTimeout(CLIENT_TIMEOUT_MS, done);
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).replace(CONTINUE, '');
      if (isWhole(text) || (isHead && text.includes('\r\n\r\n'))) done();
    });
    socket.on('end', done);
    socket.on('error', reject);
    socket.write(Buffer.from(bytes, 'utf8'));
  });
}
