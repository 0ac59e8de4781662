/*
 * The certificate authority of one test cluster: PEM files in the state directory, and kubeconfig files with the
 * credentials. They are deleted with the cluster.
 */
import 'reflect-metadata';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** Long enough for a cluster that a developer keeps running. */
const validDays = 365;

/** Subject and names of a certificate. */
export interface CertificateRequest {
  /** File name without ending: `<name>.crt` and `<name>.key` are written. */
  readonly name: string;
  /** Common name: the user's name for a client certificate. Empty: none, as workload certificates have it; Envoy refuses an empty one. */
  readonly commonName: string;
  /** Organizations: the user's groups for a client certificate. */
  readonly groups?: readonly string[];
  /** Subject alternative names of a serving certificate: IP addresses. */
  readonly ips?: readonly string[];
  /** Subject alternative names of a serving certificate: DNS names. */
  readonly dnsNames?: readonly string[];
  /** Subject alternative names of a client certificate: SPIFFE identities. */
  readonly uris?: readonly string[];
}

/** Paths of a certificate and its private key, both PEM. */
export interface KeyPairPaths {
  readonly certPath: string;
  readonly keyPath: string;
}

/** A certificate authority whose files are in one directory. */
export interface Authority {
  /** Directory of all its files. */
  readonly dir: string;
  /** The authority's own certificate and key. */
  readonly ca: KeyPairPaths;
  /** Signs a certificate for servers and clients, and writes it next to the authority's. */
  readonly issue: (request: CertificateRequest) => Promise<KeyPairPaths>;
}

/**
 * Creates an authority and writes `ca.crt` and `ca.key` into `dir`.
 * @param since when its certificates begin to be valid; absent: a day ago
 */
export async function createAuthority(dir: string, since: Date = new Date(Date.now() - dayMs)): Promise<Authority> {
  mkdirSync(dir, { recursive: true });
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=sallyport-test-ca',
    keys,
    signingAlgorithm: algorithm,
    ...validity(since),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const ca = await write(dir, 'ca', certificate, keys);
  return { dir, ca, issue: (request) => issue({ dir, certificate, keys }, request) };
}

/** The authority that an earlier call wrote into `dir`. */
export async function openAuthority(dir: string): Promise<Authority> {
  const ca = { certPath: join(dir, 'ca.crt'), keyPath: join(dir, 'ca.key') };
  const certificate = new x509.X509Certificate(readFileSync(ca.certPath, 'utf8'));
  const der = x509.PemConverter.decodeFirst(readFileSync(ca.keyPath, 'utf8'));
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  const keys = { privateKey, publicKey: await certificate.publicKey.export() } as webcrypto.CryptoKeyPair;
  return { dir, ca, issue: (request) => issue({ dir, certificate, keys }, request) };
}

interface Issuer {
  readonly dir: string;
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

async function issue(issuer: Issuer, request: CertificateRequest): Promise<KeyPairPaths> {
  const keys = await newKeys();
  const names: x509.JsonGeneralNames = [
    ...(request.ips ?? []).map((value) => ({ type: 'ip' as const, value })),
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.uris ?? []).map((value) => ({ type: 'url' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [
      ...(request.groups ?? []).map((group) => ({ O: [group] })),
      ...(request.commonName === '' ? [] : [{ CN: [request.commonName] }]),
    ],
    issuer: issuer.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: algorithm,
    ...validity(issuer.certificate.notBefore),
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return write(issuer.dir, request.name, certificate, keys);
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

function validity(notBefore: Date): { notBefore: Date; notAfter: Date } {
  return { notBefore, notAfter: new Date(Date.now() + validDays * dayMs) };
}

async function write(dir: string, name: string, certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyPairPaths> {
  const paths = { certPath: join(dir, `${name}.crt`), keyPath: join(dir, `${name}.key`) };
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey as webcrypto.CryptoKey);
  writeFileSync(paths.certPath, `${certificate.toString('pem')}\n`);
  writeFileSync(paths.keyPath, `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`, { mode: 0o600 });
  return paths;
}

/** Writes the key pair that signs ServiceAccount tokens: `sa.key` and its public half `sa.pub`. */
export function writeServiceAccountKeys(dir: string): { readonly keyPath: string; readonly publicPath: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const paths = { keyPath: join(dir, 'sa.key'), publicPath: join(dir, 'sa.pub') };
  writeFileSync(paths.keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(paths.publicPath, publicKey.export({ type: 'spki', format: 'pem' }));
  return paths;
}

/** Address of an API server and the authority that signed its certificate. */
export interface Endpoint {
  /** `https://host:port` */
  readonly url: string;
  /** PEM file of the authority that signed its certificate. */
  readonly caPath: string;
}

/** Writes a kubeconfig with everything embedded, whose only context uses the client certificate `pair`. */
export function writeKubeconfig(path: string, endpoint: Endpoint, pair: KeyPairPaths): string {
  const base64 = (file: string): string => readFileSync(file).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server: endpoint.url, 'certificate-authority-data': base64(endpoint.caPath) } }],
    users: [{ name: 'test', user: { 'client-certificate-data': base64(pair.certPath), 'client-key-data': base64(pair.keyPath) } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  };
  // JSON is YAML, and kubectl and every client library read it.
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}
