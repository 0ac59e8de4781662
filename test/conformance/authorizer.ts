/*
 * Replaces the ext_authz server of the records (Istio's sample server) in runs without sockets. It decides like the sample
 * server; the texts of its responses come from the record, because they describe the check request, which does not exist
 * without a client. Runs through the proxy use real servers instead.
 */
import type { ExtensionProvider } from '../../src/api/mesh-config.ts';
import { type CheckResponse, checkDenied, checkFailed } from '../../src/filters/check-response.ts';
import type { Observed } from './case-file.ts';

/** Suffix of the peer identity that the gRPC server allows. */
export const ALLOWED_ACCOUNT = '/sa/a';
/** Services with this name are not in the registry and do not resolve. */
export const NO_SUCH_SERVICE = 'no-such.';
/** Body of every denied response. */
export const DENIAL = 'denied by ext_authz for not found header `x-ext-authz: allow` in the request';

/** A request with this header asks for an answer that authorizers may give and Istio's sample server never gives. */
export const ODD_ANSWER = 'x-ext-authz-answer';
/** The gRPC server allows the request, and replaces these pseudo headers. */
export const OTHER_TARGET = 'other-target';
/** The target that {@link OTHER_TARGET} asks for. */
export const REPLACED: readonly (readonly [name: string, value: string])[] = [
  [':method', 'DELETE'],
  [':path', '/replaced'],
  [':authority', 'replaced.example'],
];
/** The HTTP server denies the request with a body of one byte more than 1 MiB. */
export const LARGE_DENIAL = 'large-denial';

/** The value of {@link ODD_ANSWER} in a flat list of headers; undefined: absent. */
export function oddAnswerOf(headers: readonly string[]): string | undefined {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === ODD_ANSWER);
  return at === -1 ? undefined : headers[at + 1];
}

/** The parts of a check request that the sample server reads. `headers`: flat list; `principal`: SPIFFE URI of the peer, `''` if it has none. */
export interface CheckedRequest {
  readonly method: string;
  readonly headers: readonly string[];
  readonly principal: string;
}

/** Whether the provider's server allows the request. Without the header the gRPC server allows one service account. */
export function consents(provider: ExtensionProvider, { headers, principal }: CheckedRequest): boolean {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name === 'x-ext-authz');
  if (at !== -1) {
    return headers[at + 1] === 'allow';
  }
  return provider.protocol === 'grpc' && principal.endsWith(ALLOWED_ACCOUNT);
}

/** The response of the provider's server. */
export function answerCheck(provider: ExtensionProvider, request: CheckedRequest, observed: Observed): CheckResponse {
  if (provider.service.startsWith(NO_SUCH_SERVICE)) {
    return checkFailed(403);
  }
  const odd = oddAnswerOf(request.headers);
  if (odd === LARGE_DENIAL && provider.protocol === 'http') return checkDenied(403, '', []);
  if (!consents(provider, request)) {
    // A check over HTTP has the method of the request, and a response to HEAD has no body.
    const silent = request.method === 'HEAD' && provider.protocol === 'http';
    return denial(observed, silent ? '' : DENIAL);
  }
  const added = (observed.upstream?.headers ?? []).filter(([name]) => name.startsWith('x-ext-authz-'));
  const setsHeaders = provider.protocol === 'grpc' || provider.headersToUpstreamOnAllow !== undefined;
  const replaced = odd === OTHER_TARGET && provider.protocol === 'grpc' ? REPLACED.flat() : [];
  return { kind: 'allow', setHeaders: [...(setsHeaders ? added.flat() : []), ...replaced], removeHeaders: [] };
}

function denial({ headers = {}, details }: Observed, body: string): CheckResponse {
  const sent = Object.entries(headers).filter(
    ([name, value]) => name.startsWith('x-ext-authz-') || (name === 'content-type' && value.includes(';')),
  );
  return checkDenied(403, details === 'ext_authz_denied' ? body : '', sent.flat());
}
