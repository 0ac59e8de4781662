/*
 * Asks authorizers over HTTP/1.1 on kept connections. In: questions. Out: answers, or a TransientError. Made when
 * the first HTTP provider is asked; `node:http` is loaded then, not when the agent starts.
 */
import type * as Http from 'node:http';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import { TransientError } from '../../errors.ts';
import type { CheckResponse } from '../../filters/check-response.ts';
import { hostOf, type Question } from './check-verdict.ts';
import type { Asker } from './client.ts';
import { compileNames, type NameTest } from './header-patterns.ts';
import { checkHeaders, checkPath } from './http-check-request.ts';
import { type AnswerLists, type AuthorizerResponse, answerOf } from './http-check-response.ts';

interface Lists extends AnswerLists {
  readonly included: NameTest | undefined;
}

/** Most connections to one authorizer; further checks wait. Envoy's default for a cluster. */
const MAX_CONNECTIONS = 1024;
const MAX_IDLE_CONNECTIONS = 64;
const IDLE_MS = 60_000;
const MAX_RESPONSE_HEAD_BYTES = 64 * 1024;
/** A longer body is left out of the denial. */
const MAX_BODY_BYTES = 1024 * 1024;

/** An asker for all HTTP providers of an agent. */
export async function createHttpAsker(): Promise<Asker> {
  const http = await import('node:http');
  const agent = new http.Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: MAX_IDLE_CONNECTIONS, timeout: IDLE_MS });
  const listsByProvider = new WeakMap<ExtensionProvider, Lists>();
  const listsOf = (provider: ExtensionProvider): Lists => {
    const known = listsByProvider.get(provider) ?? compileLists(provider);
    listsByProvider.set(provider, known);
    return known;
  };
  return {
    ask: async (question, signal): Promise<CheckResponse> => {
      const lists = listsOf(question.provider);
      return answerOf(await fetchResponse({ http, question, headers: checkHeaders(question, lists.included), agent }, signal), lists);
    },
    close: () => agent.destroy(),
  };
}

function compileLists(provider: ExtensionProvider): Lists {
  return {
    included: compileNames(provider.includeRequestHeadersInCheck),
    toUpstream: compileNames(provider.headersToUpstreamOnAllow),
    toDownstreamOnAllow: compileNames(provider.headersToDownstreamOnAllow),
    toDownstreamOnDeny: compileNames(provider.headersToDownstreamOnDeny),
  };
}

interface Sending {
  readonly http: typeof Http;
  readonly question: Question;
  readonly headers: readonly string[];
  /** `false`: on a connection of its own. */
  readonly agent: Agent | false;
}

/** A kept connection that the authorizer was just closing is no failure: the check is sent once more, on a new one. */
async function fetchResponse(sending: Sending, signal: AbortSignal): Promise<AuthorizerResponse> {
  const request = openRequest(sending, signal);
  try {
    return await responseTo(request, sending.question.body?.bytes);
  } catch (error) {
    if (signal.aborted || sending.agent === false || !request.reusedSocket || !wasReset(error)) throw failure(error);
    return await fetchResponse({ ...sending, agent: false }, signal);
  }
}

function openRequest({ http, question, headers, agent }: Sending, signal: AbortSignal): ClientRequest {
  const { provider, check } = question;
  return http.request({
    agent,
    host: hostOf(provider.service),
    port: provider.port,
    method: check.request.method,
    path: checkPath(question),
    headers: headers as string[],
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    insecureHTTPParser: false,
    signal,
  });
}

function responseTo(request: ClientRequest, body: Buffer | undefined): Promise<AuthorizerResponse> {
  return new Promise((resolve, reject) => {
    const refuseSwitch = (): void => {
      request.destroy();
      reject(new TransientError('SP_AUTHORIZER', 'the authorizer switches protocols'));
    };
    let answered = false;
    request.on('response', (response) => {
      answered = true;
      collect(response).then(resolve, reject);
    });
    request.on('upgrade', refuseSwitch).on('connect', refuseSwitch);
    request.on('error', reject);
    request.on('close', () => {
      if (!answered) reject(new TransientError('SP_AUTHORIZER', 'the authorizer closed the connection'));
    });
    request.end(body);
  });
}

async function collect(response: IncomingMessage): Promise<AuthorizerResponse> {
  const { statusCode: status = 0, rawHeaders: headers } = response;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop closes the connection.
    if (size > MAX_BODY_BYTES) return { status, headers, body: Buffer.alloc(0) };
    chunks.push(chunk);
  }
  return { status, headers, body: Buffer.concat(chunks) };
}

function wasReset(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function failure(error: unknown): TransientError {
  if (error instanceof TransientError) return error;
  return new TransientError('SP_AUTHORIZER', 'the authorizer cannot be reached', { cause: error });
}
