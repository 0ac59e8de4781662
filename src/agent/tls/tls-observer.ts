/*
 * What access log and metrics learn about TLS that the agent terminates.
 */
import type { ConnectionFacts } from '../../policy/facts.ts';

/**
 * Why a connection was closed before its peer was known. plaintext: it is not TLS, in strict mode; hello_too_large: its ClientHello is;
 * too_many: other handshakes began later; no_own_certificate: the agent has none; version, cipher: nothing in common; no_certificate: the
 * client has none; untrusted, expired, not_yet_valid, purpose: its certificate failed; identity: no SPIFFE ID of the trust domains;
 * server_name: two names; alert: the client refused the agent; malformed: not the protocol; too_large, timeout: too many bytes, or too long;
 * client_left: the client closed the connection.
 */
export type HandshakeFailure =
  | 'plaintext'
  | 'hello_too_large'
  | 'too_many'
  | 'no_own_certificate'
  | 'version'
  | 'cipher'
  | 'no_certificate'
  | 'untrusted'
  | 'expired'
  | 'not_yet_valid'
  | 'purpose'
  | 'identity'
  | 'server_name'
  | 'alert'
  | 'malformed'
  | 'too_large'
  | 'timeout'
  | 'client_left';

/** Receives the events of TLS. Must neither throw nor block. */
export interface TlsObserver {
  /** @param version `1.2` or `1.3` */
  onHandshake(version: string): void;
  /** @param startMs monotonic milliseconds when the connection was accepted */
  onHandshakeFailed(failure: HandshakeFailure, facts: ConnectionFacts, startMs: number): void;
  /** A certificate is used from now on. @param expiresMs Unix milliseconds */
  onCertificate(expiresMs: number): void;
  /** Files were refused; the last good ones stay. */
  onCertificateRefused(): void;
}
