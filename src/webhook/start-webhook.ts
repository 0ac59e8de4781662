/*
 * Starts the webhook: the TLS server for injection and validation, and the rotation of its certificates.
 */
import type { SecureVersion } from 'node:tls';
import type { MeshConfig } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { InjectionSettings } from '../inject/settings.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import { rotateCertificates } from './certs/certificate-rotator.ts';
import { type RootPolicies, reviewPod, type TrustSource } from './mutate.ts';
import { startAdmissionServer } from './server.ts';
import { type PolicyContext, reviewPolicy } from './validate.ts';

/** Options of {@link startWebhook}. */
export interface WebhookOptions {
  readonly client: KubeClient;
  readonly host: string;
  /** Port to listen on; 0: any free port. */
  readonly port: number;
  /** Namespace of the controller, its Service and its Secret. */
  readonly namespace: string;
  /** Name of the Service that API servers call. The names of Secret and webhook configurations derive from it, see {@link webhookNames}. */
  readonly service: string;
  readonly injection: Omit<InjectionSettings, 'trust'>;
  readonly trustFor: TrustSource;
  /** Current mesh settings, which lint depends on. */
  readonly mesh: () => MeshConfig;
  /** Ports of the pods that a policy would select; undefined: not known. */
  readonly portsFor: PolicyContext['portsFor'];
  /** Why a policy would be over its budget; undefined: it would not. */
  readonly whyOverBudget: PolicyContext['whyOverBudget'];
  /** Policies of the root namespace that select a pod, as `namespace/name`. */
  readonly rootPoliciesFor: RootPolicies;
  /** Whether this replica is the leader. Only the leader renews certificates. */
  readonly isLeader: () => boolean;
  /** Minimum TLS version; absent: TLSv1.2. */
  readonly tlsMinVersion?: SecureVersion;
  readonly metrics?: WebhookMetrics;
  readonly clock?: Clock;
  readonly logger: Logger;
}

/** The running webhook. */
export interface RunningWebhook {
  readonly port: number;
  /** Readiness: undefined if the webhook can serve, otherwise the reason why not. */
  readonly check: () => string | undefined;
  /** Stops serving; resolves when open requests have ended. Also called when the signal aborts. */
  readonly stop: () => Promise<void>;
}

/** Names of the objects that belong to the webhook. */
export interface WebhookNames {
  readonly secret: string;
  readonly mutatingConfiguration: string;
  readonly validatingConfiguration: string;
}

/** Names of the objects of the webhook behind `service`; the chart uses the same names. */
export function webhookNames(service: string): WebhookNames {
  return { secret: `${service}-webhook`, mutatingConfiguration: `${service}-injection`, validatingConfiguration: `${service}-validation` };
}

/**
 * Starts listening immediately. {@link RunningWebhook.check} reports whether there is a certificate to serve with.
 * @throws the system error if the port is not available
 */
export async function startWebhook(options: WebhookOptions, signal: AbortSignal): Promise<RunningWebhook> {
  const logger = options.logger.child({ part: 'webhook' });
  const names = webhookNames(options.service);
  const server = await startAdmissionServer({
    host: options.host,
    port: options.port,
    tlsMinVersion: options.tlsMinVersion ?? 'TLSv1.2',
    reviewers: {
      '/mutate': (request) => reviewPod(request, { ...options, settings: options.injection }),
      '/validate': (request) =>
        reviewPolicy(request, { mesh: options.mesh(), portsFor: options.portsFor, whyOverBudget: options.whyOverBudget }),
    },
    logger,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  });
  const clock = options.clock ?? systemClock;
  const stopping = new AbortController();
  let expiresMs: number | undefined;
  const rotation = rotateCertificates(
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
    stopped ??= Promise.all([server.close(), rotation]).then(() => undefined);
    return stopped;
  };
  signal.addEventListener('abort', () => void stop(), { once: true });
  return {
    port: server.port,
    check: () => {
      if (expiresMs === undefined) return 'no serving certificate yet';
      return expiresMs <= clock.wallMs() ? 'the serving certificate has expired' : undefined;
    },
    stop,
  };
}

function dnsNamesOf(service: string, namespace: string): readonly string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`];
}
