/*
 * Keeps the webhook's certificates valid as long as the webhook runs. Every replica serves the certificate in the Secret; the
 * leader also renews it and sets the `caBundle` of the webhook configurations.
 */

import { type Clock, sleep } from '../../clock.ts';
import type { KubeClient } from '../../cluster/client.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Configurations, patchCaBundles, readWebhooks } from './ca-bundle.ts';
import type { KeyPair } from './issue.ts';
import { type Certificates, renewCertificates, servingExpiryMs, trustBundle } from './renew.ts';
import { readCertificates, type SecretRef, writeCertificates } from './secret.ts';

/** A certificate to serve with. */
export interface ServedCertificate {
  readonly serving: KeyPair;
  /** In milliseconds since the epoch. */
  readonly expiresMs: number;
  /** The authorities to trust, in PEM, newest first; `''`: not known, because another controller issues the certificate. */
  readonly authorities: string;
}

/** Options of {@link rotateCertificates}. */
export interface CertificateRotatorOptions {
  readonly client: KubeClient;
  readonly secret: SecretRef;
  readonly configurations: Configurations;
  readonly dnsNames: readonly string[];
  /** Whether this replica is the leader. Only the leader writes. */
  readonly isLeader: () => boolean;
  /** Called with each new serving certificate. */
  readonly onServing: (serving: ServedCertificate) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Interval while there is no certificate, and after a failure. */
const RETRY_MS = 1_000;
/** Regular interval: the time within which a reset `caBundle` is restored. */
const PASS_MS = 15_000;

/** Runs passes until the signal aborts, then resolves. Logs and retries failures. */
export async function rotateCertificates(options: CertificateRotatorOptions, signal: AbortSignal): Promise<void> {
  let served = '';
  while (!signal.aborted) {
    let delayMs = RETRY_MS;
    try {
      const certificates = await passOnce(options, signal);
      if (certificates !== undefined) {
        delayMs = PASS_MS;
        const { serving } = certificates;
        const authorities = trustBundle(certificates);
        if (serving.certPem + authorities !== served) {
          options.onServing({ serving, expiresMs: servingExpiryMs(certificates), authorities });
          served = serving.certPem + authorities;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      options.logger.warn({ err: error }, 'cannot check webhook certificates, retrying');
    }
    await sleep(options.clock, delayMs, signal);
  }
}

/**
 * One pass: reads the certificates, and on the leader renews them and updates the `caBundle`s.
 * @returns the certificates in the Secret; undefined if the Secret is empty and this replica is not the leader
 */
export async function passOnce(options: CertificateRotatorOptions, signal: AbortSignal): Promise<Certificates | undefined> {
  const { client, secret, clock, dnsNames, logger } = options;
  const stored = await readCertificates(client, secret, signal);
  if (!options.isLeader()) return stored.certificates;
  const webhooks = await readWebhooks(client, options.configurations, signal);
  const newest = stored.certificates?.authority.certPem;
  const isTrusted = newest !== undefined && webhooks.every((webhook) => webhook.caBundle.includes(newest));
  const certificates = await renewCertificates(stored.certificates, { nowMs: clock.wallMs(), dnsNames, isTrusted });
  if (certificates !== stored.certificates) {
    await writeCertificates(client, secret, { certificates, resourceVersion: stored.resourceVersion }, signal);
    logger.info({ expires: new Date(servingExpiryMs(certificates)).toISOString() }, 'webhook certificates renewed');
  }
  const changed = await patchCaBundles(client, webhooks, trustBundle(certificates), signal);
  if (changed > 0) logger.info({ webhooks: changed }, 'webhook configurations trust the current authority');
  return certificates;
}
