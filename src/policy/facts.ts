/*
 * What is known of a request or connection when policies are evaluated. Clients control no field beyond what its comment says.
 */
import type { TokenNotes } from './token-notes.ts';

/** A JSON value of a verified payload. Only own properties of objects are ever read, so prototypes do not matter. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Claims of a verified token by name. */
export type Claims = { readonly [key: string]: Json };

/** Identities of a verified client certificate. They are compared in this order: URI SANs, DNS SANs, Subject. */
export interface PeerIdentity {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subject: string;
}

/**
 * Where an identity comes from. `mtls`: the client's certificate. `xfcc`: a trusted proxy's X-Forwarded-Client-Cert. `pod-ip`: the pod that
 * has the address. `none`: the agent identifies pods by their addresses, and does not know this one.
 */
export type PeerGrade = 'mtls' | 'xfcc' | 'pod-ip' | 'none';

/** The identity of a connection for logs; undefined: none, and agents do not look for one. */
export function peerLog({ peer, peerGrade }: ConnectionFacts): { readonly uri: string; readonly grade: PeerGrade } | undefined {
  if (peer === undefined && peerGrade === undefined) return undefined;
  return { uri: peer?.uris[0] ?? '', grade: peerGrade ?? 'mtls' };
}

/** What is known of a connection. */
export interface ConnectionFacts {
  /** Address of the TCP peer, without zone; never taken from a header. `''`: not an IP address (Unix socket). */
  readonly sourceIp: string;
  /** Original destination: normally the pod's address. */
  readonly destinationIp: string;
  /** Container port, 1-65535. */
  readonly destinationPort: number;
  /** SNI in lower case; `''`: none. */
  readonly sni: string;
  /** Absent: no identity. */
  readonly peer?: PeerIdentity;
  /** How strong the identity of {@link ConnectionFacts.peer} is, if it is not that of the client's certificate; without a peer `none` or absent. No policy sees it. */
  readonly peerGrade?: Exclude<PeerGrade, 'mtls'>;
  readonly tls: boolean;
  /** `1.2` or `1.3`. Absent: the agent did not terminate TLS. For the access log; no policy sees it. */
  readonly tlsVersion?: string;
  /** First URI of the agent's own certificate, for ext_authz servers; no policy sees it. Absent: none. */
  readonly localUri?: string;
  /**
   * The element to append to X-Forwarded-Client-Cert on an mTLS connection:
   * `By=<local URI>;Hash=<sha256 hex>;Subject="<subject>";URI=<peer URI>`. Set by whatever terminated TLS. Absent: nothing is appended.
   */
  readonly forwardedClientCert?: string;
}

/** Facts of one HTTP request after normalization and JWT verification. Of a TCP connection only `connection` is used. */
export interface RequestFacts {
  readonly connection: ConnectionFacts;
  readonly method: string;
  /** `:authority` as sent, with port; `undefined`: it held a token that was removed, or only a token may set it. */
  readonly host: string | undefined;
  /** Normalized, with query. */
  readonly pathWithQuery: string;
  /** Normalized, cut at the first `?` or `#`. */
  readonly path: string;
  /** remote.ip: from X-Forwarded-For or the connection. */
  readonly remoteIp: string;
  /** Every instance of a header, in order; empty: the header is absent. `name` in lower case; pseudo headers included. */
  headerValues(name: string): readonly string[];
  /** Regular headers as a flat array: name and value alternate, one pair per instance; names in lower case, no pseudo headers. */
  readonly headerList: readonly string[];
  /** Verified payload with space-delimited claims split; absent: no verified token. */
  readonly claims?: Claims;
  /** Where the evaluator caches what it derives from `claims`; absent: it derives it for every request. */
  readonly notes?: TokenNotes;
}
