/*
 * Certificates of tests, made when they run: authorities, and what they issue for servers and clients.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key in PEM. */
export interface TestPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** An authority that can issue. */
export interface TestAuthority extends TestPair {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** Absent: none, as Istio's. */
  readonly subject?: string;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Seconds from now; absent: -60. */
  readonly notBefore?: number;
  /** Seconds from now; absent: an hour. */
  readonly notAfter?: number;
  /** Absent: servers and clients; empty: no extension. */
  readonly extendedUsage?: readonly string[];
  /** Absent: digital signature. */
  readonly usage?: x509.KeyUsageFlags;
  readonly isRsa?: boolean;
}

/** Values of {@link CertificateOptions.usage}. */
export const USAGE: typeof x509.KeyUsageFlags = x509.KeyUsageFlags;
/** Values of {@link CertificateOptions.extendedUsage}. */
export const EXTENDED_USAGE: typeof x509.ExtendedKeyUsage = x509.ExtendedKeyUsage;

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 } as const;

const at = (seconds: number): Date => new Date(Date.now() + seconds * 1000);
const newKeys = (isRsa: boolean): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(isRsa ? RSA : EC, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

async function pemOf(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<TestPair> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certPem: `${certificate.toString('pem')}\n`, keyPem: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n` };
}

/** A self-signed authority, or one that `parent` has signed. */
export async function newAuthority(name: string, parent?: TestAuthority): Promise<TestAuthority> {
  const keys = await newKeys(false);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: `CN=${name}`,
      issuer: parent?.certificate.subject ?? `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: (parent ?? { keys }).keys.privateKey,
      signingAlgorithm: EC,
      notBefore: at(-3600),
      notAfter: at(86_400),
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return { ...(await pemOf(certificate, keys)), certificate, keys };
}

/** A certificate for a server or a client. @param authority undefined: it signs itself */
export async function issue(authority: TestAuthority | undefined, options: CertificateOptions = {}): Promise<TestPair> {
  const { subject = '', uris = [], dnsNames = [], notBefore = -60, notAfter = 3600, isRsa = false } = options;
  const { usage = x509.KeyUsageFlags.digitalSignature } = options;
  const { extendedUsage = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth] } = options;
  const keys = await newKeys(isRsa);
  const names = [...uris.map((value) => ({ type: 'url' as const, value })), ...dnsNames.map((value) => ({ type: 'dns' as const, value }))];
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: authority?.certificate.subject ?? subject,
      publicKey: keys.publicKey,
      signingKey: (authority ?? { keys }).keys.privateKey,
      signingAlgorithm: authority === undefined && isRsa ? RSA : EC,
      notBefore: at(notBefore),
      notAfter: at(notAfter),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(usage, true),
        ...(extendedUsage.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...extendedUsage])]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ],
    },
    webcrypto,
  );
  return await pemOf(certificate, keys);
}
