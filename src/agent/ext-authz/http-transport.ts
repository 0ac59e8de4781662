/*
 * Sends checks over HTTP/1.1 on kept connections. Loaded with the first HTTP provider: `node:http` costs an agent without one nothing.
 */
import type * as Http from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import { parseHeaderFormat } from '../../api/header-format.ts';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import { InvariantError, TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import { ByteParts } from '../../limits/containers.ts';
import { type CheckRequest, hostOf, isOfRequest } from './check-request.ts';
import type { CheckTransport } from './check-transport.ts';
import { compileNames } from './header-patterns.ts';
import { type CarriedHeaders, checkHeaders, checkPath } from './http-check-request.ts';
import { checkResponseOf, type HttpCheckResponse, type ResponseLists } from './http-check-response.ts';

interface Lists extends ResponseLists, CarriedHeaders {}

/** Most connections to one server; further checks wait. Envoy's default for a cluster. */
const MAX_CONNECTIONS = LIMITS.checkConnections.value;
const MAX_IDLE_CONNECTIONS = LIMITS.idleCheckConnections.value;
const IDLE_MS = LIMITS.checkIdleTime.value;
const MAX_RESPONSE_HEAD_BYTES = LIMITS.checkResponseHeadBytes.value;

/** The transport for all HTTP providers of an agent. @param lookup of host names */
export async function createHttpTransport(lookup: LookupFunction): Promise<CheckTransport> {
  const http = await import('node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: MAX_IDLE_CONNECTIONS, timeout: IDLE_MS });
  const listsByProvider = new WeakMap<ExtensionProvider, Lists>();
  const listsOf = (provider: ExtensionProvider): Lists => {
    const known = listsByProvider.get(provider) ?? compileLists(provider);
    listsByProvider.set(provider, known);
    return known;
  };
  return {
    send: async (check, signal): Promise<CheckResponse> => {
      if (!isOfRequest(check)) throw new InvariantError('a TCP connection cannot be checked over HTTP');
      const lists = listsOf(check.provider);
      return checkResponseOf(await fetchResponse({ http, check, headers: checkHeaders(check, lists), agent, lookup }, signal), lists);
    },
    close: () => agent.destroy(),
  };
}

function compileLists(provider: ExtensionProvider): Lists {
  return {
    included: compileNames(provider.includeRequestHeadersInCheck),
    additional: Object.entries(provider.includeAdditionalHeadersInCheck ?? {}).map(([name, text]) => [
      name.toLowerCase(),
      parseHeaderFormat(text),
    ]),
    toUpstream: compileNames(provider.headersToUpstreamOnAllow),
    toDownstreamOnAllow: compileNames(provider.headersToDownstreamOnAllow),
    toDownstreamOnDeny: compileNames(provider.headersToDownstreamOnDeny),
  };
}

interface Exchange {
  readonly http: typeof Http;
  readonly check: CheckRequest;
  readonly headers: readonly string[];
  /** `false`: on a new connection. */
  readonly agent: Agent | false;
  readonly lookup: LookupFunction;
}

/** A kept connection that the server was closing is not a failure: the check is sent again once, on a new one. */
async function fetchResponse(exchange: Exchange, signal: AbortSignal): Promise<HttpCheckResponse> {
  const request = openRequest(exchange, signal);
  try {
    return await responseTo(request, exchange.check.body?.bytes);
  } catch (error) {
    if (signal.aborted || exchange.agent === false || !request.reusedSocket || !wasReset(error)) throw failure(error);
    return await fetchResponse({ ...exchange, agent: false }, signal);
  }
}

function openRequest({ http, check, headers, agent, lookup }: Exchange, signal: AbortSignal): ClientRequest {
  const { provider } = check;
  return http.request({
    agent,
    lookup,
    host: hostOf(provider.service),
    port: provider.port,
    method: check.check.request.method,
    path: checkPath(check),
    headers: headers as string[],
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    insecureHTTPParser: false,
    signal,
  });
}

function responseTo(request: ClientRequest, body: Buffer | undefined): Promise<HttpCheckResponse> {
  return new Promise((resolve, reject) => {
    const refuseSwitch = (): void => {
      request.destroy();
      reject(new TransientError('SP_AUTHORIZER', 'the ext_authz server switches protocols'));
    };
    let responded = false;
    request.on('response', (response) => {
      responded = true;
      collect(response).then(resolve, reject);
    });
    request.on('upgrade', refuseSwitch).on('connect', refuseSwitch);
    request.on('error', reject);
    request.on('close', () => {
      if (!responded) reject(new TransientError('SP_AUTHORIZER', 'the ext_authz server closed the connection'));
    });
    request.end(body);
  });
}

async function collect(response: IncomingMessage): Promise<HttpCheckResponse> {
  const { statusCode: status = 0, rawHeaders: headers } = response;
  const body = new ByteParts(LIMITS.checkResponseBodyBytes);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    // A longer body is left out. Leaving the loop closes the connection.
    if (!body.push(chunk)) return { status, headers, body: Buffer.alloc(0) };
  }
  return { status, headers, body: body.take() ?? Buffer.alloc(0) };
}

function wasReset(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function failure(error: unknown): TransientError {
  if (error instanceof TransientError) return error;
  return new TransientError('SP_AUTHORIZER', 'the ext_authz server cannot be reached', { cause: error });
}
