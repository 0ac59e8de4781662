/*
 * Decides whether the peer of a finished handshake is known. Node.js finishes handshakes with certificates that fail, and leaves the decision
 * to its server, which the agent does not use.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { ConnectionFacts } from '../../policy/facts.ts';
import { forwardedElement, identityOf, isOfTrustDomain } from './peer-identity.ts';
import type { HandshakeFailure } from './tls-observer.ts';

/** What a handshake adds to the facts of a connection. */
export type SecuredFacts = Required<Pick<ConnectionFacts, 'sni' | 'tls' | 'tlsVersion' | 'peer' | 'forwardedClientCert'>> &
  Pick<ConnectionFacts, 'localUri'>;

/** What is expected of a peer. */
export interface PeerExpectation {
  /** Server name in the ClientHello that was read before the handshake. */
  readonly sni: string;
  readonly trustDomains: readonly string[];
  /** See `TlsMaterial.uri`. */
  readonly localUri: string;
}

const FAILURES: Readonly<Record<string, HandshakeFailure>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not_yet_valid',
  INVALID_PURPOSE: 'purpose',
};
const VERSIONS: Readonly<Record<string, string>> = { 'TLSv1.2': '1.2', 'TLSv1.3': '1.3' };

/** The facts of a connection whose handshake is finished, or why it must be closed. */
export function verifyPeer(socket: TLSSocket, { sni, trustDomains, localUri }: PeerExpectation): SecuredFacts | HandshakeFailure {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  if (certificate === undefined) return 'no_certificate';
  const failure = verificationFailure(socket);
  if (failure !== undefined) return failure;
  const tlsVersion = VERSIONS[socket.getProtocol() ?? ''];
  if (tlsVersion === undefined) return 'version';
  // Policies compare the name that was read before the handshake; a second ClientHello may have another one.
  if (serverNameOf(socket) !== sni) return 'server_name';
  const peer = identityOf(certificate);
  if (!isOfTrustDomain(peer, trustDomains)) return 'identity';
  const forwardedClientCert = forwardedElement(certificate, peer, localUri);
  return { sni, tls: true, tlsVersion, peer, forwardedClientCert, ...(localUri !== '' && { localUri }) };
}

function verificationFailure(socket: TLSSocket): HandshakeFailure | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const verify: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'verifyError') : undefined;
  // Not this version of Node.js: nothing is known of the certificate.
  if (typeof verify !== 'function') return 'untrusted';
  const error: unknown = Reflect.apply(verify, handle, []);
  if (error === undefined || error === null) return undefined;
  const code: unknown = typeof error === 'object' ? Reflect.get(error, 'code') : undefined;
  return FAILURES[String(code)] ?? 'untrusted';
}

function serverNameOf(socket: TLSSocket): string {
  const name: unknown = Reflect.get(socket, 'servername');
  return typeof name === 'string' ? name.toLowerCase() : '';
}
