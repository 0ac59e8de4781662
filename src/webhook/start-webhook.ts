/*
 * The webhook as a whole. In: a client, the names of the installation, injection settings, who leads. Out: a TLS server for
 * injection and validation whose certificates look after themselves. Called by the controller's entry point.
 */
import type { SecureVersion } from 'node:tls';
import type { MeshConfig } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { InjectionSettings } from '../inject/settings.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import { rotateCertificates } from './certs/certificate-rotator.ts';
import { reviewPod } from './mutate.ts';
import { startAdmissionServer } from './server.ts';
import { reviewPolicy } from './validate.ts';

export interface WebhookOptions {
  readonly client: KubeClient;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Of the controller: where its Service and Secret are. */
  readonly namespace: string;
  /** Name of the Service that API servers call; Secret and webhook configurations are named after it, see {@link webhookNames}. */
  readonly service: string;
  readonly injection: InjectionSettings;
  /** The mesh settings as they are now; what lint says depends on them. */
  readonly mesh: () => MeshConfig;
  /** Does this replica lead at the moment? Only the leader renews certificates. */
  readonly isLeader: () => boolean;
  /** Absent: TLSv1.2. */
  readonly tlsMinVersion?: SecureVersion;
  readonly metrics?: WebhookMetrics;
  readonly clock?: Clock;
  readonly logger: Logger;
}

export interface RunningWebhook {
  readonly port: number;
  /** For readiness: undefined when it can serve, otherwise why not. */
  readonly check: () => string | undefined;
  /** Stops serving; resolves when open requests have ended. Happens by itself when the signal aborts. */
  readonly stop: () => Promise<void>;
}

export interface WebhookNames {
  readonly secret: string;
  readonly mutatingConfiguration: string;
  readonly validatingConfiguration: string;
}

/** Names of what belongs to the webhook behind `service`; the chart uses the same. */
export function webhookNames(service: string): WebhookNames {
  return { secret: `${service}-webhook`, mutatingConfiguration: `${service}-injection`, validatingConfiguration: `${service}-validation` };
}

/** Listens at once; {@link RunningWebhook.check} tells when there is a certificate to serve with.
 *  @throws the system's error when the port cannot be had */
export async function startWebhook(options: WebhookOptions, signal: AbortSignal): Promise<RunningWebhook> {
  const logger = options.logger.child({ component: 'webhook' });
  const names = webhookNames(options.service);
  const server = await startAdmissionServer({
    host: options.host,
    port: options.port,
    tlsMinVersion: options.tlsMinVersion ?? 'TLSv1.2',
    reviewers: {
      '/mutate': (request) => reviewPod(request, options.injection),
      '/validate': (request) => reviewPolicy(request, options.mesh()),
    },
    logger,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  });
  const clock = options.clock ?? systemClock;
  const stopping = new AbortController();
  let expiresMs: number | undefined;
  const keeping = rotateCertificates(
    {
      client: options.client,
      secret: { namespace: options.namespace, name: names.secret },
      configurations: { mutating: names.mutatingConfiguration, validating: names.validatingConfiguration },
      dnsNames: dnsNamesOf(options.service, options.namespace),
      isLeader: options.isLeader,
      onServing: (serving, expiry) => {
        server.serve(serving);
        expiresMs = expiry;
        options.metrics?.onCertificate(expiry);
      },
      clock,
      logger,
    },
    AbortSignal.any([signal, stopping.signal]),
  );
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping.abort();
    stopped ??= Promise.all([server.close(), keeping]).then(() => undefined);
    return stopped;
  };
  signal.addEventListener('abort', () => void stop(), { once: true });
  return {
    port: server.port,
    check: () => {
      if (expiresMs === undefined) return 'no certificate yet';
      return expiresMs <= clock.wallMs() ? 'the certificate has expired' : undefined;
    },
    stop,
  };
}

function dnsNamesOf(service: string, namespace: string): readonly string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`];
}
