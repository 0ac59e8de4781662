/*
 * What one external authorizer is asked, and the faults of asking. In: a check verdict with the body that the proxy has
 * read. Out: a question, as the HTTP and gRPC clients take it. Made by the authorizer for each check.
 */
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import type { CheckVerdict } from '../../filters/verdict.ts';
import type { CheckBody } from '../context.ts';

/** The request's body as the check carries it. */
export interface CarriedBody {
  readonly bytes: Buffer;
  /** These are only the first bytes. */
  readonly partial: boolean;
}

export interface Question {
  readonly provider: ExtensionProvider;
  readonly check: CheckVerdict;
  /** Absent: the provider wants no body, or the request has none. */
  readonly body: CarriedBody | undefined;
}

/** Tells the authorizer whether the body is all there is; never taken from the client. */
export const PARTIAL_BODY_HEADER = 'x-envoy-auth-partial-body';

/** The body that `provider` gets to see, or `too-large`. */
export function carriedBody(provider: ExtensionProvider, body: CheckBody | undefined): CarriedBody | undefined | 'too-large' {
  const limits = provider.includeRequestBodyInCheck;
  if (limits === undefined || body === undefined) return undefined;
  const { maxRequestBytes, allowPartialMessage } = limits;
  const partial = !body.whole || body.bytes.length > maxRequestBytes;
  if (partial && !allowPartialMessage) return 'too-large';
  return { bytes: body.bytes.subarray(0, maxRequestBytes), partial };
}

/** Host to connect to: Istio's `[namespace/]host` without the namespace, an IPv6 address without brackets. */
export function hostOf(service: string): string {
  const host = service.slice(service.indexOf('/') + 1);
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
