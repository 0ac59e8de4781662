/*
 * What is sent to an ext_authz server, whatever the protocol of the check.
 */
import type { ExtensionProvider } from '../../api/mesh-config.ts';
import type { CheckedConnection, CheckVerdict } from '../../filters/verdict.ts';
import type { BodyPrefix } from '../../http/stream.ts';

/** The part of the request's body that the check carries. */
export interface CarriedBody {
  readonly bytes: Buffer;
  /** These are only the first bytes. */
  readonly partial: boolean;
}

/** One check by one provider. */
export interface CheckRequest<Check extends CheckVerdict | CheckedConnection = CheckVerdict> {
  readonly provider: ExtensionProvider;
  readonly check: Check;
  /** Absent: the provider wants no body, or the request has none. */
  readonly body: CarriedBody | undefined;
}

/** A check of a request or a TCP connection. */
export type AnyCheck = CheckRequest<CheckVerdict> | CheckRequest<CheckedConnection>;

/** Whether a check is about a request. */
export function isOfRequest(check: AnyCheck): check is CheckRequest {
  return check.check.request !== undefined;
}

/** Says whether the carried body is partial; never copied from the client. */
export const PARTIAL_BODY_HEADER = 'x-envoy-auth-partial-body';

/** The protocol of a request as Envoy writes it, such as `HTTP/1.1` and `HTTP/2`. */
export function httpProtocol(version: CheckVerdict['version']): string {
  return `HTTP/${version}`;
}

/** The part of the body that `provider` receives, or `too-large`. */
export function carriedBody(provider: ExtensionProvider, body: BodyPrefix | undefined): CarriedBody | undefined | 'too-large' {
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
