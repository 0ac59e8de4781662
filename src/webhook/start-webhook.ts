/*
 * Starts the webhook: the TLS server for injection and validation, and the rotation of its certificates.
 */
import type { SecureVersion } from 'node:tls';
import { parsePolicy } from '../api/istio/parse-policy.ts';
import type { Policy } from '../api/istio/resources.ts';
import type { InjectedFeed } from '../api/kube/agent-contract.ts';
import { type MeshConfig, trustDomainsOf } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { InjectionSettings } from '../inject/settings.ts';
import type { EditedPods } from '../resolve/edited-pods.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import { followCertificateFiles } from './certs/certificate-files.ts';
import { rotateCertificates, type ServedCertificate } from './certs/certificate-rotator.ts';
import { type RootPolicies, reviewPod, type TrustSource } from './mutate.ts';
import { createNewAccessWarnings, NEW_ACCESS_LIMIT_MS, type NewAccessOptions } from './new-access.ts';
import { type Reviewer, startAdmissionServer } from './server.ts';
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
  readonly injection: Omit<InjectionSettings, 'trust' | 'trustDomains'>;
  readonly trustFor: TrustSource;
  /** Current mesh settings, which lint depends on. */
  readonly mesh: () => MeshConfig;
  /** Ports of the pods that a policy would select; undefined: not known. */
  readonly portsFor: PolicyContext['portsFor'];
  /** Why a policy would be over its budget; undefined: it would not. */
  readonly whyOverBudget: PolicyContext['whyOverBudget'];
  /** Warns what an edit lets in; absent: it does not. */
  readonly newAccess?: {
    /** The pods whose policies the edit changes, from the caches of this replica. */
    readonly editedPods: (policy: Policy) => EditedPods;
    readonly startWorker: NewAccessOptions['startWorker'];
  };
  /** Policies of the root namespace that select a pod, as `namespace/name`. */
  readonly rootPoliciesFor: RootPolicies;
  /** Whether this replica is the leader. Only the leader renews certificates. */
  readonly isLeader: () => boolean;
  /** Directory with `tls.crt` and `tls.key`, which another controller renews; absent: the webhook issues its certificates. */
  readonly certificateDirectory?: string;
  /** Called with each certificate that the webhook serves with. */
  readonly onCertificate?: (certificate: ServedCertificate) => void;
  /** Where new agents find the feed; absent: they get none. */
  readonly feed?: () => InjectedFeed | undefined;
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
      '/mutate': (request) => reviewPod(request, { ...options, settings: currentInjection(options) }),
      '/validate': policyReviewer(options),
    },
    logger,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  });
  const clock = options.clock ?? systemClock;
  const stopping = new AbortController();
  let expiresMs: number | undefined;
  const onServing = (certificate: ServedCertificate): void => {
    server.serve(certificate.serving);
    expiresMs = certificate.expiresMs;
    options.metrics?.onCertificate(expiresMs);
    options.onCertificate?.(certificate);
  };
  const directory = options.certificateDirectory;
  const lasting = AbortSignal.any([signal, stopping.signal]);
  const rotation =
    directory === undefined
      ? rotateCertificates(
          {
            client: options.client,
            secret: { namespace: options.namespace, name: names.secret },
            configurations: { mutating: names.mutatingConfiguration, validating: names.validatingConfiguration },
            dnsNames: dnsNamesOf(options.service, options.namespace),
            isLeader: options.isLeader,
            onServing,
            clock,
            logger,
          },
          lasting,
        )
      : followCertificateFiles({ directory, onServing, clock, logger }, lasting);
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

function currentInjection({ injection, feed, mesh }: WebhookOptions): Omit<InjectionSettings, 'trust'> {
  const found = feed?.();
  const own = { ...injection, trustDomains: trustDomainsOf(mesh()) };
  return found === undefined ? own : { ...own, feed: found };
}

function policyReviewer({ mesh, portsFor, whyOverBudget, newAccess }: WebhookOptions): Reviewer {
  const review: Reviewer = (request) => reviewPolicy(request, { mesh: mesh(), portsFor, whyOverBudget });
  if (newAccess === undefined) return review;
  const { startWorker, editedPods } = newAccess;
  const warnings = createNewAccessWarnings({ startWorker, limitMs: NEW_ACCESS_LIMIT_MS });
  return async (request) => {
    const response = await review(request);
    const { value: policy } = response.allowed && request.object !== undefined ? parsePolicy(request.object) : {};
    if (policy === undefined) return response;
    const added = await warnings({ ...editedPods(policy), mesh: mesh() });
    return { ...response, warnings: [...added, ...(response.warnings ?? [])] };
  };
}

function dnsNamesOf(service: string, namespace: string): readonly string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`];
}
