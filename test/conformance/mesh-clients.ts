/*
 * Clients of the replay through the proxy that speak mutual TLS, with certificates made for the recorded identities.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsTermination } from '../../src/agent/tls/tls-termination.ts';
import { issue, newAuthority, type TestAuthority, type TestPair } from '../support/certificates.ts';
import { materialOf } from '../unit/agent/tls/tls-stage.ts';
import type { RecordedRequest } from './case-file.ts';

/** Identity of the recorded workload in `By` of X-Forwarded-Client-Cert. */
const SERVER_URI = 'spiffe://cluster.local/ns/default/sa/server';
const TRUST_DOMAIN = /^spiffe:\/\/([^/]+)\/./;

/** What Istio's proxies announce. */
const PROTOCOLS = { http1: ['istio-http/1.1', 'istio', 'http/1.1'], http2: ['istio-h2', 'istio', 'h2'], tcp: ['istio'] } as const;

interface Mesh {
  readonly authority: TestAuthority;
  readonly termination: TlsTermination;
  /** Certificates of clients by their URIs, joined by commas as in the records. */
  readonly clients: Map<string, Promise<TestPair>>;
  /** Those of every record: the recorder accepted any. */
  readonly trustDomains: string[];
}

let mesh: Promise<Mesh> | undefined;
let handshakes = 0;

/** Handshakes that the proxy has finished so far. */
export function meshHandshakes(): number {
  return handshakes;
}

/** Termination for a stage of the proxy. */
export async function meshTermination(): Promise<TlsTermination> {
  return (await openMesh()).termination;
}

function openMesh(): Promise<Mesh> {
  return (mesh ??= createMesh());
}

async function createMesh(): Promise<Mesh> {
  const authority = await newAuthority('conformance');
  const trustDomains: string[] = [];
  const current = await materialOf(await issue(authority, { uris: [SERVER_URI] }), authority.certPem);
  const observer = {
    onHandshake: () => {
      handshakes += 1;
    },
    onHandshakeFailed: () => {},
    onCertificate: () => {},
    onCertificateRefused: () => {},
  };
  const termination: TlsTermination = { mode: 'permissive', certificates: { current }, trustDomains, observer };
  return { authority, termination, clients: new Map(), trustDomains };
}

/** Whether a certificate can have the identity of a request: one URI must be a SPIFFE ID. Requests without one are plain text. */
export function hasMeshIdentity({ source: { principal } }: RecordedRequest): boolean {
  return principal?.split(',').some((uri) => TRUST_DOMAIN.test(uri)) ?? false;
}

/** A connection as the recorded client made it: mutual TLS where it had an identity. */
export async function connectAs(request: RecordedRequest, port: number, protocol: keyof typeof PROTOCOLS): Promise<Socket> {
  const { principal, sni = '' } = request.source;
  if (principal === undefined || !hasMeshIdentity(request))
    return connectTcp({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  const { authority, clients, trustDomains } = await openMesh();
  const uris = principal.split(',');
  for (const domain of uris.map((uri) => TRUST_DOMAIN.exec(uri)?.[1] ?? ''))
    if (domain !== '' && !trustDomains.includes(domain)) trustDomains.push(domain);
  let pair = clients.get(principal);
  if (pair === undefined) clients.set(principal, (pair = issue(authority, { uris })));
  const { certPem: cert, keyPem: key } = await pair;
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    ca: authority.certPem,
    cert,
    key,
    checkServerIdentity: () => undefined,
    ALPNProtocols: [...PROTOCOLS[protocol]],
    ...(sni !== '' && { servername: sni }),
  });
  // The request follows the end of the handshake, and would wait for its acknowledgement.
  return socket.setNoDelay(true);
}
