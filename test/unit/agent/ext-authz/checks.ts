/*
 * Check verdicts, ext_authz clients under test and a fake HTTP ext_authz server. Not a test itself.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExtAuthzClient } from '../../../../src/agent/context.ts';
import { createExtAuthzClient } from '../../../../src/agent/ext-authz/client.ts';
import type { ExtensionProvider } from '../../../../src/api/mesh-config.ts';
import { systemClock } from '../../../../src/clock.ts';
import type { CheckVerdict } from '../../../../src/filters/verdict.ts';
import type { ConnectionFacts } from '../../../../src/policy/facts.ts';
import { createLogger } from '../../../../src/telemetry/logger.ts';
import { logOf } from '../loopback.ts';

export const CONNECTION: ConnectionFacts = { sourceIp: '10.0.0.9', destinationIp: '10.1.0.1', destinationPort: 8080, sni: '', tls: false };

export function providerOf(port: number, changes: Partial<ExtensionProvider> = {}): ExtensionProvider {
  return { name: 'ext', protocol: 'http', service: '127.0.0.1', port, timeoutMs: 60_000, failOpen: false, statusOnError: 403, ...changes };
}

/** The check of a request for `/orders?id=1` by `provider`. */
export function checkOf(
  provider: ExtensionProvider,
  request: Partial<CheckVerdict['request']> = {},
  connection: ConnectionFacts = CONNECTION,
): CheckVerdict {
  const source = { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'c', generation: 1, rule: 0 } as const;
  const rule = { id: 'istio-ext-authz-ext-ns[foo]-policy[c]-rule[0]', source, from: [[]], to: [[]], when: [] };
  return {
    kind: 'check',
    provider,
    rule,
    request: { method: 'GET', target: '/orders?id=1', host: 'app.foo:8000', headers: [], upgrade: '', ...request },
    scheme: 'http',
    version: '1.1',
    connection,
    remoteIp: connection.sourceIp,
    resume() {
      throw new Error('the client does not resume');
    },
    log: logOf('allow'),
  };
}

/** An ext_authz client whose connections close with `stop`. */
export function clientUntil(stop: AbortSignal, logged: string[] = []): ExtAuthzClient {
  const logger = createLogger({ level: 'silent', component: 'test' });
  const note = (_fields: object, message: string): void => void logged.push(message);
  return createExtAuthzClient({
    logger: Object.assign(Object.create(logger), { warn: note, info: note }),
    clock: systemClock,
    signal: stop,
  });
}

export interface SeenCheck {
  readonly method: string;
  readonly url: string;
  /** Flat, as sent. */
  readonly headers: readonly string[];
  readonly body: string;
}

export interface HttpFake {
  readonly port: number;
  readonly seen: SeenCheck[];
  /** Connections accepted. */
  connections(): number;
  close(): Promise<void>;
}

export type Reply = (response: ServerResponse, check: SeenCheck) => void;

/** A real HTTP server that answers checks. */
export async function startHttpFake(reply: Reply): Promise<HttpFake> {
  const seen: SeenCheck[] = [];
  let connections = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url = '', rawHeaders: headers } = request;
    const check = { method, url, headers, body: Buffer.concat(chunks).toString('latin1') };
    seen.push(check);
    reply(response, check);
  };
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    connections: () => connections,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Values of a header of a check. */
export function valuesOf(check: SeenCheck | undefined, name: string): readonly string[] {
  const { headers = [] } = check ?? {};
  return headers.filter((_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name);
}
