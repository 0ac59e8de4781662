/*
 * Stands in for the external authorizer of the records (Istio's sample server). In: what the judge wants checked, and the
 * recorded answer. Out: the answer. It decides by the server's own rule; the texts it sends are taken from the record,
 * because they describe the check request, which no authorizer client made here. Used by the way in without sockets; the one
 * through the proxy asks real servers.
 */
import type { CheckAnswer } from '../../src/filters/verdict.ts';
import type { CustomMatch } from '../../src/policy/decide/decision.ts';
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

/** Does every authorizer in `matches` consent? Without the header the gRPC server trusts one service account. */
export function consents(matches: readonly CustomMatch[], { headers, principal }: CheckedRequest): boolean {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name === 'x-ext-authz');
  if (at !== -1) {
    return headers[at + 1] === 'allow';
  }
  return matches.every(({ step }) => step.provider?.protocol === 'grpc' && principal.endsWith(ALLOWED_ACCOUNT));
}

/** The folded answer of the authorizers in `matches`. */
export function answerCheck(matches: readonly CustomMatch[], request: CheckedRequest, observed: Observed): CheckAnswer {
  if (matches.some(({ step }) => step.provider?.service.startsWith(NO_SUCH_SERVICE) === true)) {
    return { kind: 'error', status: 403 };
  }
  if (!consents(matches, request)) {
    // A server asked over HTTP is asked with the request's own method, and HEAD is answered without a body.
    const silent = request.method === 'HEAD' && matches.every(({ step }) => step.provider?.protocol === 'http');
    return denial(observed, silent ? '' : DENIAL);
  }
  const added = (observed.upstream?.headers ?? []).filter(([name]) => name.startsWith('x-ext-authz-'));
  const setsHeaders = matches.some(
    ({ step }) => step.provider?.protocol === 'grpc' || step.provider?.headersToUpstreamOnAllow !== undefined,
  );
  return { kind: 'allow', setHeaders: setsHeaders ? added.flat() : [], removeHeaders: [] };
}

function denial({ headers = {}, details }: Observed, body: string): CheckAnswer {
  const sent = Object.entries(headers).filter(
    ([name, value]) => name.startsWith('x-ext-authz-') || (name === 'content-type' && value.includes(';')),
  );
  return { kind: 'deny', status: 403, body: details === 'ext_authz_denied' ? body : '', headers: sent.flat() };
}
