/*
 * What is known of a request or connection when it is judged. In: made by `prepareRequest` (HTTP) or by the caller
 * (TCP). Out: read by `decide`. No field is trusted input of the client beyond what its docstring says.
 */
import type { TokenNotes } from './token-notes.ts';

/** JSON value of a verified payload. Objects have no prototype tricks: own properties only are ever looked up. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** URI SANs first, then DNS SANs, then the Subject, of a verified client certificate. */
export interface PeerIdentity {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subject: string;
}

export interface ConnectionFacts {
  /** Address of the TCP peer, without zone; never from a header. `''`: not an IP (unix socket). */
  readonly sourceIp: string;
  /** Original destination: normally the pod's address. */
  readonly destinationIp: string;
  /** Container port, 1-65535. */
  readonly destinationPort: number;
  /** Lower-cased SNI; `''`: none. */
  readonly sni: string;
  /** Absent: no mTLS identity. */
  readonly peer?: PeerIdentity;
  readonly tls: boolean;
  /**
   * The element that X-Forwarded-Client-Cert gets on an mTLS connection, made by whoever terminated TLS:
   * `By=<local URI>;Hash=<sha256 hex>;Subject="<subject>";URI=<peer URI>`. Absent: nothing is added.
   */
  readonly forwardedClientCert?: string;
}

/** Facts of one HTTP request after normalisation and JWT; of a TCP connection only `connection` counts. */
export interface RequestFacts {
  readonly connection: ConnectionFacts;
  readonly method: string;
  /** `:authority` as sent, with port. */
  readonly host: string;
  /** Normalised, with query. */
  readonly pathWithQuery: string;
  /** Normalised, cut at the first `?` or `#`. */
  readonly path: string;
  /** remote.ip: from X-Forwarded-For or the connection. */
  readonly remoteIp: string;
  /** Every instance of a header in order; empty: absent. `name` in lower case; pseudo headers included. */
  headerValues(name: string): readonly string[];
  /** Regular headers as a flat list, name and value in turn, one pair for each instance; names in lower case, no pseudo headers. */
  readonly headerList: readonly string[];
  /** Verified payload with space-delimited claims split; absent: no verified token. */
  readonly claims?: { readonly [key: string]: Json };
  /** Where the evaluator keeps what it finds out about `claims`; absent: it finds out anew every time. */
  readonly notes?: TokenNotes;
}
