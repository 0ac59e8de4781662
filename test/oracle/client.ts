/*
 * Clients of Envoy: send bytes or HTTP/2 requests from a given address, in plaintext or with a workload's certificate, and return
 * what arrived on the wire.
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { RecordedRequest } from '../conformance/case-file.ts';
import { http1Text } from '../conformance/read-request.ts';

/** A workload's certificate in PEM. */
export interface ClientIdentity {
  readonly cert: string;
  readonly key: string;
}

export interface Target {
  readonly ip: string;
  readonly port: number;
  readonly protocol: 'http' | 'grpc' | 'tcp';
}

/** What a client received. `closed`: the peer closed the connection, or TLS failed, before any response. */
export type Answer =
  | { readonly kind: 'http'; readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly body: string }
  | { readonly kind: 'tcp'; readonly received: string }
  | { readonly kind: 'closed'; readonly handshake: boolean };

export interface Exchange {
  readonly answer: Answer;
  /** `address:port` of the client, then of the workload, as Envoy logs them. */
  readonly connection: string;
}

const TIMEOUT_MS = 5000;
/** A TCP connection that is neither answered nor closed for this long counts as closed: the application greets every client. */
const TCP_TIMEOUT_MS = 10_000;

// The same as Istio's sidecars; the first protocol of each list selects the filter chain.
const ALPN = { http1: ['istio-http/1.1', 'istio', 'http/1.1'], http2: ['istio-h2', 'istio', 'h2'], tcp: ['istio-peer-exchange', 'istio'] };

/** The local port of a connection is in use. */
export class PortTaken extends Error {}

/**
 * Sends one request on a new connection.
 * @param localPort absent: any free port @throws PortTaken
 */
export async function exchange(
  request: RecordedRequest,
  target: Target,
  identity: ClientIdentity | undefined,
  localPort?: number,
): Promise<Exchange> {
  const alpn = target.protocol === 'tcp' ? 'tcp' : request.http2 === true ? 'http2' : 'http1';
  const open = await openSocket(request, { ...target, localPort }, identity, ALPN[alpn]);
  if (open.socket === undefined) return { answer: { kind: 'closed', handshake: true }, connection: open.connection };
  const { socket, connection } = open;
  try {
    if (alpn === 'http2') return { answer: await askHttp2(socket, request), connection };
    if (alpn === 'tcp') return { answer: await askTcp(socket, request.raw ?? ''), connection };
    return { answer: await askHttp1(socket, request.raw ?? http1Text(request), request.method === 'HEAD'), connection };
  } finally {
    socket.destroy();
  }
}

function openSocket(
  { source }: RecordedRequest,
  { ip, port, localPort }: Target & { readonly localPort: number | undefined },
  identity: ClientIdentity | undefined,
  alpn: readonly string[],
): Promise<{ socket?: Socket; connection: string }> {
  return new Promise((resolve, reject) => {
    let connection = '';
    const plain = connect({ host: ip, port, localAddress: source.ip, ...(localPort === undefined ? {} : { localPort }) });
    plain.setTimeout(TIMEOUT_MS, () => plain.destroy());
    const fail = (error?: NodeJS.ErrnoException | boolean): void => {
      const code = typeof error === 'object' ? error.code : undefined;
      if (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL') reject(new PortTaken(code));
      else resolve({ connection });
    };
    plain.once('error', fail).once('close', fail);
    plain.once('connect', () => {
      const host = (address = ''): string => (address.includes(':') ? `[${address}]` : address);
      connection = `${host(plain.localAddress)}:${plain.localPort} ${host(plain.remoteAddress)}:${plain.remotePort}`;
      if (identity === undefined) return resolve({ socket: plain, connection });
      const tls = connectTls({
        socket: plain,
        ...identity,
        rejectUnauthorized: false,
        ALPNProtocols: [...alpn],
        ...(source.sni === undefined ? {} : { servername: source.sni }),
      });
      tls.once('error', fail).once('close', fail);
      tls.once('secureConnect', () => resolve({ socket: tls, connection }));
    });
  });
}

function askTcp(socket: Socket, bytes: string): Promise<Answer> {
  return new Promise((resolve) => {
    let received = '';
    const done = (): void => resolve(received === '' ? { kind: 'closed', handshake: false } : { kind: 'tcp', received });
    socket.setTimeout(TCP_TIMEOUT_MS, done);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      done();
    });
    socket.on('error', done).on('close', done);
    socket.write(Buffer.from(bytes, 'utf8'));
  });
}

const IS_HEAD = /^(?:\r\n)*HEAD /;

function askHttp1(socket: Socket, bytes: string, isHead: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const done = (): void => {
      // A response to HEAD whose method is not that of the record, because the request was recorded as bytes.
      const head = IS_HEAD.test(bytes) ? parseResponse(text, true) : undefined;
      if (text === '') resolve({ kind: 'closed', handshake: false });
      else if (head !== undefined) resolve(head);
      else reject(new Error(`half a response: ${JSON.stringify(text.slice(0, 500))}`));
    };
    // It is not known what becomes of a request that is left in flight: there is no record of it.
    socket.setTimeout(TIMEOUT_MS, () => reject(new Error(`no response in time: ${JSON.stringify(text.slice(0, 500))}`)));
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '');
      if (!'HTTP/1.1'.startsWith(text.slice(0, 8))) reject(new Error('Envoy took it for another protocol than HTTP'));
      const whole = parseResponse(text, isHead);
      if (whole !== undefined) resolve(whole);
    });
    socket.on('error', done).on('close', done);
    socket.write(Buffer.from(bytes, 'utf8'));
  });
}

function parseResponse(text: string, isHead: boolean): Answer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const length = Number(new Map(headers).get('content-length') ?? 0);
  const body = text.slice(end + 4);
  if (!isHead && body.length < length) return undefined;
  return { kind: 'http', status: Number(start.split(' ')[1]), headers, body: isHead ? '' : body.slice(0, length) };
}

function askHttp2(socket: Socket, request: RecordedRequest): Promise<Answer> {
  const { method = 'GET', path = '/', host = '', headers = [], body = '', source } = request;
  return new Promise((resolve, reject) => {
    const scheme = source.principal === undefined ? 'http' : 'https';
    // Node's types do not support repeated fields.
    const options = { createConnection: () => socket, strictSingleValueFields: false };
    const session = connectHttp2(`${scheme}://oracle`, options);
    const done = (answer: Answer): void => {
      session.destroy();
      resolve(answer);
    };
    const closed = (): void => done({ kind: 'closed', handshake: false });
    session.on('error', closed).on('close', closed);
    // A flat list keeps order and repeated names.
    const flat = [
      ':method',
      method,
      ':scheme',
      scheme,
      ':path',
      path,
      ...(host === '-' ? [] : [':authority', host]),
      ...headers.flatMap(([name, value]) => [name.toLowerCase(), Buffer.from(value, 'utf8').toString('latin1')]),
    ];
    const stream = session.request(flat as unknown as Record<string, string>, { endStream: body === '' });
    let text = '';
    let status = 0;
    const replied: [string, string][] = [];
    stream.setTimeout(TIMEOUT_MS, () => {
      session.destroy();
      reject(new Error('no response in time'));
    });
    stream.on('response', (_, __, raw?: readonly string[]) => {
      for (let at = 0; raw !== undefined && at < raw.length; at += 2) {
        if (raw[at] === ':status') status = Number(raw[at + 1]);
        else replied.push([raw[at] ?? '', raw[at + 1] ?? '']);
      }
    });
    stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    stream.on('error', () => undefined);
    stream.on('close', () => (status === 0 ? closed() : done({ kind: 'http', status, headers: replied, body: text })));
    if (body !== '') stream.end(Buffer.from(body, 'utf8'));
  });
}
