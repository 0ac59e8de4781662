/*
 * Stands in for the external authorizer of the records (Istio's sample server). In: what the judge wants checked, and the
 * recorded answer. Out: the answer. It decides by the server's own rule; the texts it sends are taken from the record,
 * because they describe the check request, which no authorizer client made here. Used by the way in without sockets; the one
 * through the proxy asks real servers.
 */
import type { ExtensionProvider } from '../../src/api/mesh-config.ts';
import { type CheckResponse, checkDenied, checkFailed } from '../../src/filters/check-response.ts';
import type { Observed } from './case-file.ts';

/** End of the identity that the gRPC server trusts. */
export const ALLOWED_ACCOUNT = '/sa/a';
/** Services of this name are in no registry, and resolve to nothing. */
export const NO_SUCH_SERVICE = 'no-such.';
/** Body of every denial. */
export const DENIAL = 'denied by ext_authz for not found header `x-ext-authz: allow` in the request';

/** What the sample server looks at. `headers`: flat list; `principal`: the peer's SPIFFE URI, `''` for none. */
export interface CheckedRequest {
  readonly method: string;
  readonly headers: readonly string[];
  readonly principal: string;
}

/** Does the authorizer behind `provider` allow the request? Without the header the gRPC server trusts one service account. */
export function consents(provider: ExtensionProvider, { headers, principal }: CheckedRequest): boolean {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name === 'x-ext-authz');
  if (at !== -1) {
    return headers[at + 1] === 'allow';
  }
  return provider.protocol === 'grpc' && principal.endsWith(ALLOWED_ACCOUNT);
}

/** The response of the authorizer behind `provider`. */
export function answerCheck(provider: ExtensionProvider, request: CheckedRequest, observed: Observed): CheckResponse {
  if (provider.service.startsWith(NO_SUCH_SERVICE)) {
    return checkFailed(403);
  }
  if (!consents(provider, request)) {
    // A server asked over HTTP is asked with the request's own method, and HEAD is answered without a body.
    const silent = request.method === 'HEAD' && provider.protocol === 'http';
    return denial(observed, silent ? '' : DENIAL);
  }
  const added = (observed.upstream?.headers ?? []).filter(([name]) => name.startsWith('x-ext-authz-'));
  const setsHeaders = provider.protocol === 'grpc' || provider.headersToUpstreamOnAllow !== undefined;
  return { kind: 'allow', setHeaders: setsHeaders ? added.flat() : [], removeHeaders: [] };
}

function denial({ headers = {}, details }: Observed, body: string): CheckResponse {
  const sent = Object.entries(headers).filter(
    ([name, value]) => name.startsWith('x-ext-authz-') || (name === 'content-type' && value.includes(';')),
  );
  return checkDenied(403, details === 'ext_authz_denied' ? body : '', sent.flat());
}
