/*
 * Reads and checks the certificate, the key and the trust bundle with which the agent terminates TLS.
 */
import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { LIMITS } from '../../limits/agent-limits.ts';
import { readRegularFile } from '../../regular-file.ts';
import { nodeTls } from './node-tls.ts';
import { identityOf } from './peer-identity.ts';

/** Where the files are. */
export interface TlsFiles {
  readonly directory: string;
  /** File names below `directory`: the certificate with its chain, its key, and the authorities of clients, all in PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly trustBundle: string;
}

/** A certificate that the agent can use. */
export interface TlsMaterial {
  readonly context: SecureContext;
  /** First URI of the certificate; `''`: it has none. */
  readonly uri: string;
  /** Unix milliseconds. */
  readonly expiresMs: number;
  /** Differs if a file differs. */
  readonly digest: string;
}

const MAX_BYTES = LIMITS.tlsFileBytes.value;
const PEM_BEGIN = '-----BEGIN CERTIFICATE-----';
const PEM_END = '-----END CERTIFICATE-----';

/** Istio's suites of TLS 1.2 that have forward secrecy, and those of TLS 1.3. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');

/**
 * Reads the files.
 * @param digest of what is used already, which is not parsed again
 * @returns undefined: the files are those of `digest`
 * @throws Error that names the file and says what is wrong with it
 */
export async function readTlsFiles(files: TlsFiles, digest: string | undefined, nowMs: number): Promise<TlsMaterial | undefined> {
  const certificate = await readFileOf(files, files.certificate);
  const key = await readFileOf(files, files.key);
  const trustBundle = await readFileOf(files, files.trustBundle);
  const own = createHash('sha256')
    .update(JSON.stringify([certificate, key, trustBundle]))
    .digest('hex');
  if (own === digest) return undefined;
  const leaf = leafOf(files.certificate, certificate, nowMs);
  checkKey(files, leaf, key);
  const authorities = authoritiesOf(files.trustBundle, trustBundle);
  return {
    context: nodeTls().createSecureContext({
      cert: certificate,
      key,
      ca: [...authorities],
      // As Envoy does: an intermediate authority may be the anchor.
      allowPartialTrustChain: true,
      ciphers: CIPHERS,
      honorCipherOrder: true,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      // A resumed session would skip the client's certificate, and a second handshake would change the peer of a connection.
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    }),
    uri: identityOf(leaf).uris[0] ?? '',
    expiresMs: leaf.validToDate.getTime(),
    digest: own,
  };
}

async function readFileOf({ directory }: TlsFiles, name: string): Promise<string> {
  try {
    return await readRegularFile(join(directory, name), MAX_BYTES);
  } catch (cause) {
    throw new Error(`${name}: ${messageOf(cause)}`, { cause });
  }
}

function leafOf(name: string, pem: string, nowMs: number): X509Certificate {
  const leaf = parsed(name, pem);
  if (leaf.validToDate.getTime() <= nowMs) throw new Error(`${name}: expired at ${leaf.validToDate.toISOString()}`);
  if (leaf.validFromDate.getTime() > nowMs) throw new Error(`${name}: not valid before ${leaf.validFromDate.toISOString()}`);
  return leaf;
}

function checkKey({ certificate, key }: TlsFiles, leaf: X509Certificate, pem: string): void {
  let isPair: boolean;
  try {
    isPair = leaf.checkPrivateKey(createPrivateKey(pem));
  } catch (cause) {
    // The message of OpenSSL does not contain the key.
    throw new Error(`${key}: not a private key: ${messageOf(cause)}`, { cause });
  }
  if (!isPair) throw new Error(`${key}: not the key of ${certificate}`);
}

function authoritiesOf(name: string, pem: string): readonly string[] {
  const parts = pem.split(PEM_END).slice(0, -1);
  const blocks = parts.map((part) => `${part.slice(Math.max(0, part.lastIndexOf(PEM_BEGIN)))}${PEM_END}\n`);
  if (blocks.length === 0) throw new Error(`${name}: no certificate in it`);
  for (const block of blocks) parsed(name, block);
  return blocks;
}

function parsed(name: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error(`${name}: not a certificate: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
