/*
 * What an agent that terminates TLS has in common for all its connections.
 */
import type { InjectedTls } from '../../api/kube/agent-contract.ts';
import type { TlsCertificates } from './certificates.ts';
import type { ClientHello } from './client-hello.ts';
import type { TlsObserver } from './tls-observer.ts';

/** `strict`: every connection must be mutual TLS. `permissive`: plain text passes, too, and TLS that is for the application. */
export type TlsMode = InjectedTls['mode'];

/** How TLS is terminated. */
export interface TlsTermination {
  readonly mode: TlsMode;
  readonly certificates: Pick<TlsCertificates, 'current'>;
  /** Without `spiffe://`; a client needs a SPIFFE ID of one of them. */
  readonly trustDomains: readonly string[];
  readonly observer: TlsObserver;
}

/** What Istio's proxies announce to the proxy of the server when they speak mutual TLS. */
const MESH_PROTOCOLS: readonly string[] = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

/** Whether a client asks for the proxy of the server, and not for the application behind it. */
export function isForMesh({ protocols }: ClientHello): boolean {
  return protocols.some((protocol) => MESH_PROTOCOLS.includes(protocol));
}
