/*
 * Identifies the peer when a proxy in front of the pod terminated mTLS. Runs before normalization.
 */
import { compileIpBlocks, parseIp } from '../../policy/match/ip-block.ts';
import type { RawRequest } from '../heads.ts';
import type { LocalReply } from '../local-reply.ts';
import { parseClientCertHeader } from './client-cert-header.ts';
import { joinValues } from './copy-headers.ts';
import { CLIENT_CERT_INVALID } from './rejections.ts';

const CLIENT_CERT_HEADER = 'x-forwarded-client-cert';

/** The request with its peer, or the reply that refuses it. */
export type Identified<T extends RawRequest> = { readonly kind: 'ok'; readonly raw: T } | LocalReply;

/**
 * `raw` with the peer that X-Forwarded-Client-Cert names, when a trusted proxy sent the header over a connection without a
 * client certificate. Without the header, the client of the trusted proxy had no certificate. A malformed header is refused,
 * because a missing identity would satisfy every negative condition.
 * @param isTrusted is this address of the TCP peer the address of a trusted proxy?
 */
export function identifyPeer<T extends RawRequest>(raw: T, isTrusted: (address: string) => boolean): Identified<T> {
  if (raw.connection.peer !== undefined || !isTrusted(raw.connection.sourceIp)) return { kind: 'ok', raw };
  const header = clientCertOf(raw.headers);
  if (header === undefined) return { kind: 'ok', raw };
  const peer = parseClientCertHeader(header);
  return peer === undefined
    ? CLIENT_CERT_INVALID
    : { kind: 'ok', raw: { ...raw, connection: { ...raw.connection, peer, peerGrade: 'xfcc' } } };
}

/** A test whether an address is that of a trusted proxy; `undefined` when `blocks` is empty. @param blocks as in `Program.trustedProxies` */
export function trustedProxyTest(blocks: readonly string[]): ((address: string) => boolean) | undefined {
  if (blocks.length === 0) return undefined;
  const isInside = compileIpBlocks(blocks);
  return (address) => isInside(parseIp(address));
}

/** All instances joined, because Envoy treats this header as inline; `undefined`: absent or empty. */
function clientCertOf(headers: readonly string[]): string | undefined {
  let value: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name.length !== CLIENT_CERT_HEADER.length || name.toLowerCase() !== CLIENT_CERT_HEADER) continue;
    value = joinValues(value ?? '', headers[at + 1] as string);
  }
  return value === '' ? undefined : value;
}
