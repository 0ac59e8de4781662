/*
 * Serves the certificate in files, which another controller such as cert-manager keeps in a mounted Secret, and every later one.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, sleep } from '../../clock.ts';
import { readRegularFile } from '../../regular-file.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ServedCertificate } from './certificate-rotator.ts';
import type { KeyPair } from './issue.ts';

/** Options of {@link followCertificateFiles}. */
export interface CertificateFilesOptions {
  /** Directory with `tls.crt` and `tls.key`. */
  readonly directory: string;
  /** Called with each new certificate. */
  readonly onServing: (serving: ServedCertificate) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Interval while there is no usable certificate. */
const RETRY_MS = 1_000;
/** Regular interval; a kubelet refreshes a mounted Secret within about a minute. */
const PASS_MS = 15_000;
const MAX_BYTES = 64 * 1024;

/** Reads the files until the signal aborts, then resolves. A pair that is missing or does not fit together is logged, and the last one stays in use. */
export async function followCertificateFiles(options: CertificateFilesOptions, signal: AbortSignal): Promise<void> {
  const { directory, onServing, clock, logger } = options;
  let served = '';
  let problem = '';
  while (!signal.aborted) {
    let delayMs = PASS_MS;
    try {
      const pair = await readPair(directory);
      if (pair.certPem !== served) onServing({ serving: pair, expiresMs: expiryMs(pair), authorities: '' });
      served = pair.certPem;
      problem = '';
    } catch (error) {
      const text = String(error);
      if (text !== problem) logger.warn({ err: error, directory }, 'cannot use the webhook certificate in the files, retrying');
      problem = text;
      if (served === '') delayMs = RETRY_MS;
    }
    await sleep(clock, delayMs, signal);
  }
}

/** @throws Error for files that cannot be read, are no certificate and key, or do not belong together */
async function readPair(directory: string): Promise<KeyPair> {
  const [certPem, keyPem] = [
    await readRegularFile(join(directory, 'tls.crt'), MAX_BYTES),
    await readRegularFile(join(directory, 'tls.key'), MAX_BYTES),
  ];
  // A kubelet replaces both files together, perhaps between two reads.
  if (!new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))) throw new Error('tls.key is not the key of tls.crt');
  return { certPem, keyPem };
}

function expiryMs({ certPem }: KeyPair): number {
  return new X509Certificate(certPem).validToDate.getTime();
}
