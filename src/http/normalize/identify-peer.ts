/*
 * Who the peer is when a proxy in front terminated mTLS. In: a raw head, and which addresses are trusted to tell. Out: the
 * head with the identity that the proxy told, or a rejection. Called by the judge before preparation, and by explain.
 */
import { compileIpBlocks, parseIp } from '../../policy/match/ip-block.ts';
import type { RawRequest } from '../heads.ts';
import type { LocalReply } from '../local-reply.ts';
import { parseClientCertHeader } from './client-cert-header.ts';
import { joinValues } from './copy-headers.ts';
import { CLIENT_CERT_INVALID } from './rejections.ts';

const CLIENT_CERT_HEADER = 'x-forwarded-client-cert';

export type Identified<T extends RawRequest> = { readonly kind: 'ok'; readonly raw: T } | LocalReply;

/**
 * `raw` with the peer that X-Forwarded-Client-Cert names, when a trusted proxy sent it over a connection without a client
 * certificate of its own. A trusted proxy that sends none had a client without certificate; one whose header cannot be read is
 * refused, because a missing identity would satisfy every negative condition.
 * @param isTrusted is this address of the TCP peer one of a trusted proxy?
 */
export function identifyPeer<T extends RawRequest>(raw: T, isTrusted: (address: string) => boolean): Identified<T> {
  if (raw.connection.peer !== undefined || !isTrusted(raw.connection.sourceIp)) return { kind: 'ok', raw };
  const text = clientCertOf(raw.headers);
  if (text === undefined) return { kind: 'ok', raw };
  const peer = parseClientCertHeader(text);
  return peer === undefined ? CLIENT_CERT_INVALID : { kind: 'ok', raw: { ...raw, connection: { ...raw.connection, peer } } };
}

/** Is an address one of these proxies? `undefined`: there are none. @param blocks as in `Program.trustedProxies` */
export function trustedProxyTest(blocks: readonly string[]): ((address: string) => boolean) | undefined {
  if (blocks.length === 0) return undefined;
  const isInside = compileIpBlocks(blocks);
  return (address) => isInside(parseIp(address));
}

/** All instances joined, as Envoy holds this header once; `undefined`: none, or nothing in it. */
function clientCertOf(headers: readonly string[]): string | undefined {
  let text: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (name.length !== CLIENT_CERT_HEADER.length || name.toLowerCase() !== CLIENT_CERT_HEADER) continue;
    text = joinValues(text ?? '', headers[at + 1] as string);
  }
  return text === '' ? undefined : text;
}
