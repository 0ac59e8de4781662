/*
 * Checks before a request is forwarded that the filters left it in a state in which it can be sent, and removes what they set for Envoy's
 * router only.
 */

import { isChangeableRequestHeader } from '../http/header-changes.ts';
import { type HeaderList, hasHeader, removeHeadersWhere } from '../http/header-list.ts';
import { ROUTER_HEADERS } from '../http/normalize/inline-headers.ts';
import type { PreparedRequest } from '../http/normalize/prepared-request.ts';
import { outputsOf } from '../jwt/token-rule.ts';
import type { JwtProvider, Program } from '../policy/model/program.ts';

/** Envoy's message about the first part of the request that cannot be sent; `undefined`: all can. */
export type SendTest = (request: PreparedRequest) => string | undefined;

const TOKEN = /^[\w!#$%&'*+\-.^`|~]+$/;
// oxlint-disable-next-line no-control-regex -- control bytes are what is searched for
const CONTROL_BYTE = /[\0-\x08\x0a-\x1f\x7f]/;

/** A test of what `providers` may have done to a request. */
export function createSendTest(providers: readonly JwtProvider[]): SendTest {
  const outputs = new Set(providers.flatMap((provider) => [...outputsOf(provider)]));
  const unsendable = new Set([...outputs].filter((name) => !TOKEN.test(name) || !isChangeableRequestHeader(name)));
  return (request) => missingHeader(request) ?? targetFault(request) ?? outputFault(request.headers, outputs, unsendable);
}

/** Removes the headers that a request keeps to itself where Envoy's router would take them. */
export type RouterHeaderRemoval = (request: PreparedRequest) => void;

/**
 * The removal of the router's headers that tokens and ext_authz servers may have set; those of the client are gone before the filters.
 *
 * @returns undefined: no filter of `program` can set one
 */
export function createRouterHeaderRemoval({ providers, http }: Pick<Program, 'providers' | 'http'>): RouterHeaderRemoval | undefined {
  const outputs = new Set(providers.flatMap((provider) => [...outputsOf(provider)]));
  const removed = new Set(http.custom.length > 0 ? ROUTER_HEADERS : ROUTER_HEADERS.filter((name) => outputs.has(name)));
  if (removed.size === 0) return undefined;
  return ({ headers }) => removeHeadersWhere(headers, (name) => removed.has(name));
}

/** A pseudo header that held a token, or that only a token may set. Envoy sends a request without Host; an HTTP/1.1 request needs one. */
function missingHeader({ removed, headers }: PreparedRequest): string | undefined {
  if (removed.length === 0) return undefined;
  if (removed.includes('method') && !hasHeader(headers, ':method')) return 'missing required header: :method';
  if (removed.includes('target') && !hasHeader(headers, ':path')) return 'missing required header: :path';
  const isHostMissing = removed.includes('host') && !hasHeader(headers, ':authority') && !hasHeader(headers, 'host');
  return isHostMissing ? 'missing required header: :authority' : undefined;
}

/** Escapes are decoded when a token is taken from the query. */
function targetFault({ isRewritten, target }: PreparedRequest): string | undefined {
  return isRewritten && CONTROL_BYTE.test(target) ? 'invalid header value for: :path' : undefined;
}

/** Special characters of a name as in JSON. */
function escaped(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}

/** Istio's admission accepts any name for `outputPayloadToHeader`, and a claim may contain any string. */
function outputFault(headers: HeaderList, outputs: ReadonlySet<string>, unsendable: ReadonlySet<string>): string | undefined {
  if (outputs.size === 0) return undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!outputs.has(name)) continue;
    if (unsendable.has(name)) return `invalid header name: ${escaped(name)}`;
    if (CONTROL_BYTE.test(headers[i + 1] as string)) return `invalid header value for: ${name}`;
  }
  return undefined;
}
