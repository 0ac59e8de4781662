/*
 * Keeps the webhook's certificates alive. In: the Secret, the webhook configurations, the time, whether this replica leads.
 * Out: the serving certificate to every replica; on the leader also renewed certificates and mended `caBundle`s. Runs for
 * as long as the webhook does.
 */

import type { Clock } from '../../clock.ts';
import type { KubeClient } from '../../cluster/client.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Configurations, patchCaBundles, readWebhooks } from './ca-bundle.ts';
import type { KeyPair } from './issue.ts';
import { type Certificates, renewCertificates, servingExpiryMs, trustBundle } from './renew.ts';
import { readCertificates, type SecretRef, writeCertificates } from './secret.ts';

export interface CertificateRotatorOptions {
  readonly client: KubeClient;
  readonly secret: SecretRef;
  readonly configurations: Configurations;
  readonly dnsNames: readonly string[];
  /** Only the leader writes. */
  readonly isLeader: () => boolean;
  /** Told of the certificate to serve, each time it is another; `expiresMs` since 1970. */
  readonly onServing: (serving: KeyPair, expiresMs: number) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between passes while there is no certificate yet, and after a failure. */
const HASTY_MS = 1_000;
/** Between passes otherwise: how long a reset `caBundle` may stay so. */
const PASS_MS = 15_000;

/** Passes until the signal aborts, then resolves. Failures are logged and tried again. */
export async function rotateCertificates(options: CertificateRotatorOptions, signal: AbortSignal): Promise<void> {
  let served = '';
  while (!signal.aborted) {
    let delayMs = HASTY_MS;
    try {
      const certificates = await passOnce(options, signal);
      if (certificates !== undefined) {
        delayMs = PASS_MS;
        if (certificates.serving.certPem !== served) {
          options.onServing(certificates.serving, servingExpiryMs(certificates));
          served = certificates.serving.certPem;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      options.logger.warn({ err: error }, 'webhook certificates not looked after, trying again');
    }
    await pause(options.clock, delayMs, signal);
  }
}

/** One look at everything. @returns what is in the Secret now; undefined: nothing yet, and this replica may not make it */
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

function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener('abort', leave);
      resolve();
    });
    const leave = (): void => {
      cancel();
      resolve();
    };
    signal.addEventListener('abort', leave, { once: true });
  });
}
