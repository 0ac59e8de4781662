/*
 * The CheckRequest message of a gRPC check.
 * @see Envoy source/extensions/filters/common/ext_authz/check_request_utils.cc
 */
import type { ConnectionFacts, PeerIdentity } from '../../policy/facts.ts';
import { type AnyCheck, type CheckRequest, httpProtocol, isOfRequest, PARTIAL_BODY_HEADER } from './check-request.ts';

/** Plain data in the shape of `envoy.service.auth.v3.CheckRequest`. */
export function checkMessageOf(check: AnyCheck, nowMs: number): object {
  if (isOfRequest(check)) return requestMessageOf(check, nowMs);
  return { attributes: peersOf(check.check.connection) };
}

function requestMessageOf(request: CheckRequest, nowMs: number): object {
  const { check, body, provider } = request;
  const { method, target, host } = check.request;
  const headers = checkHeaders(request);
  const packed = provider.includeRequestBodyInCheck?.packAsBytes === true;
  const http = {
    id: headers['x-request-id'] ?? '',
    method,
    headers,
    path: unicodeOf(target),
    host: unicodeOf(host),
    scheme: check.scheme,
    size: Number(headers['content-length'] ?? body?.bytes.length ?? 0),
    protocol: httpProtocol(check.version),
    ...(body === undefined ? {} : packed ? { raw_body: body.bytes } : { body: withoutInvalid(body.bytes) }),
  };
  const time = { seconds: Math.floor(nowMs / 1000), nanos: Math.floor(nowMs % 1000) * 1_000_000 };
  return { attributes: { ...peersOf(check.connection), request: { time, http } } };
}

function peersOf({ sourceIp, destinationIp, destinationPort, peer, peerGrade, localUri }: ConnectionFacts): object {
  const at = (address: string, port: number): object => ({ socket_address: { address, port_value: port } });
  // Authorizers take a principal for one of a certificate.
  const principal = peer === undefined || peerGrade === 'pod-ip' ? undefined : principalOf(peer);
  return {
    source: { address: at(sourceIp, 0), ...(principal === undefined ? {} : { principal }) },
    destination: { address: at(destinationIp, destinationPort), ...(localUri === undefined ? {} : { principal: localUri }) },
  };
}

function principalOf({ uris, dnsNames, subject }: PeerIdentity): string {
  return uris[0] ?? dnsNames[0] ?? subject;
}

/** All headers of the request, pseudo headers too, several instances of one joined by commas: even cookies, as in Envoy. */
function checkHeaders({ check, body }: CheckRequest): Readonly<Record<string, string>> {
  const { method, target, host, headers } = check.request;
  const valueByName = new Map([
    [':method', method],
    [':path', unicodeOf(target)],
    [':authority', unicodeOf(host)],
    [':scheme', check.scheme],
  ]);
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? '';
    if (name === PARTIAL_BODY_HEADER) continue;
    const before = valueByName.get(name);
    const value = unicodeOf(headers[index + 1] ?? '');
    valueByName.set(name, before === undefined ? value : `${before},${value}`);
  }
  if (body !== undefined) valueByName.set(PARTIAL_BODY_HEADER, String(body.partial));
  return Object.fromEntries(valueByName);
}

const ASCII = /^[\0-\x7f]*$/; // oxlint-disable-line no-control-regex -- all of ASCII

/** Bytes (one character each) read as UTF-8, which protobuf's strings must be; an invalid sequence becomes `!`, as in Envoy. */
function unicodeOf(bytes: string): string {
  return ASCII.test(bytes) ? bytes : withoutInvalid(Buffer.from(bytes, 'latin1'));
}

function withoutInvalid(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\ufffd', '!');
}
