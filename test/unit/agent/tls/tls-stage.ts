/*
 * A listener that terminates TLS, with certificates of the test, and clients for it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { readTlsFiles, type TlsFiles, type TlsMaterial } from '../../../../src/agent/tls/certificate-files.ts';
import type { HandshakeFailure } from '../../../../src/agent/tls/tls-observer.ts';
import type { TlsMode, TlsTermination } from '../../../../src/agent/tls/tls-termination.ts';
import { issue, newAuthority, type TestAuthority, type TestPair } from '../../../support/certificates.ts';

export const SERVER_URI = 'spiffe://cluster.local/ns/foo/sa/httpbin';
export const CLIENT_URI = 'spiffe://cluster.local/ns/bar/sa/sleep';

/** Certificates of the product's side and of a client that it knows. */
export interface Mesh {
  readonly authority: TestAuthority;
  readonly server: TestPair;
  readonly client: TestPair;
}

export async function newMesh(): Promise<Mesh> {
  const authority = await newAuthority('mesh');
  return { authority, server: await issue(authority, { uris: [SERVER_URI] }), client: await issue(authority, { uris: [CLIENT_URI] }) };
}

/** A directory with the files of csi-driver-spiffe. */
export class TlsDirectory {
  readonly files: TlsFiles;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
    this.files = { directory, certificate: 'tls.crt', key: 'tls.key', trustBundle: 'ca.crt' };
  }

  write(pair: TestPair, trustBundle: string): this {
    this.put('tls.crt', pair.certPem);
    this.put('tls.key', pair.keyPem);
    this.put('ca.crt', trustBundle);
    return this;
  }

  put(name: string, content: string): void {
    writeFileSync(join(this.files.directory, name), content);
  }

  delete(): void {
    rmSync(this.files.directory, { recursive: true });
  }
}

/** What the agent uses, from a pair of the test. */
export async function materialOf(pair: TestPair, trustBundle: string): Promise<TlsMaterial> {
  const directory = new TlsDirectory().write(pair, trustBundle);
  try {
    const material = await readTlsFiles(directory.files, undefined, Date.now());
    if (material === undefined) throw new Error('the files were read before');
    return material;
  } finally {
    directory.delete();
  }
}

/** Termination whose results can be read. */
export interface TestTermination extends TlsTermination {
  readonly certificates: { current: TlsMaterial | undefined };
  /** Versions of handshakes and reasons of failures, in order. */
  readonly results: string[];
}

export async function terminationOf({ server, authority }: Mesh, mode: TlsMode = 'permissive'): Promise<TestTermination> {
  const results: string[] = [];
  return {
    mode,
    certificates: { current: await materialOf(server, authority.certPem) },
    trustDomains: ['cluster.local'],
    results,
    observer: {
      onHandshake: (version) => results.push(version),
      onHandshakeFailed: (failure: HandshakeFailure) => results.push(failure),
      onCertificate: () => {},
      onCertificateRefused: () => {},
    },
  };
}

/** Options of a client with a certificate. */
export function clientOptions(mesh: Mesh, port: number, pair: TestPair | undefined = mesh.client): ConnectionOptions {
  const own = pair === undefined ? {} : { cert: pair.certPem, key: pair.keyPem };
  return { port, host: '127.0.0.1', ca: mesh.authority.certPem, checkServerIdentity: () => undefined, ...own };
}

/** How a connection ended: what the client received, and the code of its error. */
export interface Ending {
  readonly text: string;
  readonly error: string;
}

/** Sends `bytes` when the handshake is over, and reads until the connection ends or `enough`. */
export function talkTls(options: ConnectionOptions, bytes: string, enough: (text: string) => boolean = () => false): Promise<Ending> {
  const socket: TLSSocket = connect(options);
  let text = '';
  let error = '';
  socket.on('secureConnect', () => socket.write(bytes));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (enough(text)) socket.destroy();
  });
  socket.on('error', (failure: NodeJS.ErrnoException) => {
    error = failure.code ?? failure.message;
  });
  return new Promise((resolve) => socket.on('close', () => resolve({ text, error })));
}
