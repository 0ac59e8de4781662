/*
 * The application behind Envoy. It records each request byte for byte in wire order, and its response contains the ID of the
 * record. On a TCP port it sends a greeting to every client.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { RecordedUpstream } from '../conformance/case-file.ts';

/** Response header with the ID of the received request; responses of Envoy itself do not have it. */
export const SIGHTING = 'x-oracle-sighting';
/** Greeting that a TCP client receives if its connection is allowed. */
export const GREETING = 'through';

export interface Upstream {
  readonly httpPort: number;
  readonly tcpPort: number;
  /** The request that the application received, by the ID in {@link SIGHTING}. */
  sighting(name: string): RecordedUpstream | undefined;
  close(): void;
}

/** Headers whose values differ between runs. */
const NOISE: ReadonlySet<string> = new Set(['x-request-id']);

/** What the application received, without values that differ between runs. */
export function told({ headers, ...rest }: RecordedUpstream): RecordedUpstream {
  const kept = headers
    .filter(([name]) => !NOISE.has(name))
    .map(([name, value]): [string, string] => [
      name,
      name === 'x-forwarded-client-cert' ? value.replace(/Hash=[0-9a-f]+/g, 'Hash=<redacted>') : value,
    ]);
  return { ...rest, headers: kept };
}

/** Starts both applications on free loopback ports. */
export async function startUpstream(): Promise<Upstream> {
  const sightings = new Map<string, RecordedUpstream>();
  const http = createServer((socket) => serveHttp(socket, sightings));
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(GREETING));
  });
  return {
    httpPort: await listen(http),
    tcpPort: await listen(tcp),
    sighting: (name) => sightings.get(name),
    close() {
      http.close();
      tcp.close();
    },
  };
}

async function listen(server: Server): Promise<number> {
  // Of both families: an agent reaches it over that of its client.
  server.listen(0, '::');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** One request per connection, because pooled connections would make requests harder to distinguish. */
function serveHttp(socket: Socket, sightings: Map<string, RecordedUpstream>): void {
  let received = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    const seen = parseRequest(received);
    if (seen === undefined) return;
    const name = `s${sightings.size}`;
    sightings.set(name, seen);
    socket.end(`HTTP/1.1 200 OK\r\n${SIGHTING}: ${name}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
  });
}

/** The complete request; undefined until it has arrived. Relies on the framing that Envoy has validated. */
function parseRequest(text: string): RecordedUpstream | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const [method = ''] = start.split(' ', 1);
  const path = start.slice(method.length + 1, start.lastIndexOf(' '));
  const fields = new Map(headers);
  const rest = text.slice(end + 4);
  // Envoy withholds data after an upgrade request until the response.
  if (fields.has('upgrade')) return { method, path, headers };
  const chunked = fields.get('transfer-encoding') === 'chunked';
  const body = chunked ? dechunk(rest) : sized(rest, Number(fields.get('content-length') ?? 0));
  return body === undefined ? undefined : { method, path, headers, ...(body === '' ? {} : { body }) };
}

function sized(text: string, length: number): string | undefined {
  return text.length >= length ? text.slice(0, length) : undefined;
}

function dechunk(text: string): string | undefined {
  let body = '';
  for (let at = 0; ; ) {
    const line = text.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(text.slice(at, line), 16);
    if (size === 0) return text.endsWith('\r\n\r\n') ? body : undefined;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}
