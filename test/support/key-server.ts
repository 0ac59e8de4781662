/*
 * The web server of an identity provider for tests: the response of each path can be changed at any time, and requests are
 * recorded.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface KeyServer {
  /** `http://<address>:<port>`, with the address 127.0.0.1 when none was given. */
  readonly origin: string;
  readonly requests: readonly string[];
  readonly answer: (path: string, answer: Answer) => void;
  readonly stop: () => Promise<void>;
}

/** An address of this machine that is not loopback: the controller never fetches keys from loopback. @throws Error when it has no other */
export function ownAddress(): string {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = own.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (found === undefined) throw new Error('this machine has loopback addresses only');
  return found.address;
}

/** A server that responds with 404 on every path without a configured response. */
export async function startKeyServer(address = '127.0.0.1'): Promise<KeyServer> {
  const answers = new Map<string, Answer>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const found = answers.get(request.url ?? '');
    if (found === undefined) response.writeHead(404).end();
    else found(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    origin: `http://${address}:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (path, answer) => void answers.set(path, answer),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Responds with JSON. */
export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return (_request, response) => response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** A JWKS with one new public key with that id. */
export function freshJwks(kid: string): { readonly keys: readonly object[] } {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] };
}
