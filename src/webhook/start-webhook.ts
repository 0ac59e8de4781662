/*
 * Starts the webhook: the TLS server for injection and validation, and the rotation of its certificates.
 */
import type { SecureVersion } from 'node:tls';
import type { Policy } from '../api/istio/resources.ts';
import type { InjectedFeed } from '../api/kube/agent-contract.ts';
import { type MeshConfig, trustDomainsOf } from '../api/mesh-config.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { EditedPods } from '../resolve/edited-pods.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import type { Tracer } from '../traces/tracer.ts';
import type { AdmissionSettings, Facts, Question } from './admission-messages.ts';
import { type AdmissionThreadOptions, startAdmissionThread } from './admission-thread.ts';
import { followCertificateFiles } from './certs/certificate-files.ts';
import { rotateCertificates, type ServedCertificate } from './certs/certificate-rotator.ts';
import type { RootPolicies, TrustSource } from './mutate.ts';
import { traceReview } from './trace-review.ts';
import type { PolicyContext } from './validate.ts';

/** Options of {@link startWebhook}. */
export interface WebhookOptions {
  /** Absent: no spans. */
  readonly tracer?: Tracer | undefined;
  readonly client: KubeClient;
  readonly host: string;
  /** Port to listen on; 0: any free port. */
  readonly port: number;
  /** Namespace of the controller, its Service and its Secret. */
  readonly namespace: string;
  /** Name of the Service that API servers call. The names of Secret and webhook configurations derive from it, see {@link webhookNames}. */
  readonly service: string;
  readonly injection: AdmissionSettings['injection'];
  readonly trustFor: TrustSource;
  /** Current mesh settings, which lint depends on. */
  readonly mesh: () => MeshConfig;
  /** Ports of the pods that a policy would select; undefined: not known. */
  readonly portsFor: PolicyContext['portsFor'];
  /** Why a policy would be over its budget; undefined: it would not. */
  readonly whyOverBudget: PolicyContext['whyOverBudget'];
  /** The pods whose policies an edit changes, from the caches of this replica: warnings then say what it lets in. Absent: they do not. */
  readonly editedPods?: (policy: Policy) => EditedPods;
  /** Starts `admission-worker.ts` with {@link ADMISSION_MEMORY}. */
  readonly startWorker: AdmissionThreadOptions['startWorker'];
  /** Policies of the root namespace that select a pod, as `namespace/name`. */
  readonly rootPoliciesFor: RootPolicies;
  /** Labels of a namespace; undefined: not known. */
  readonly namespaceLabelsOf: (name: string) => Readonly<Record<string, string>> | undefined;
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
  const clock = options.clock ?? systemClock;
  const { host, port, tlsMinVersion = 'TLSv1.2', injection, startWorker, metrics } = options;
  const server = await startAdmissionThread({
    settings: { host, port, tlsMinVersion, injection, newAccess: options.editedPods !== undefined },
    startWorker,
    answer: (question) => answerFrom(options, question),
    clock,
    logger,
    onReview: (sample) => {
      metrics?.onReview(sample);
      if (options.tracer !== undefined) traceReview(options.tracer, sample);
    },
  });
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
      return expiresMs <= clock.wallMs() ? 'the serving certificate has expired' : server.check();
    },
    stop,
  };
}

/** What the caches of this replica know about a pod or a policy under review. */
function answerFrom(options: WebhookOptions, question: Question): Facts {
  const mesh = options.mesh();
  if (question.kind === 'pod') {
    const { workload, labels } = question;
    const [feed, trust] = [options.feed?.(), options.trustFor(workload)];
    const namespaceLabels = options.namespaceLabelsOf(workload.namespace);
    return {
      trustDomains: trustDomainsOf(mesh),
      rootPolicies: options.rootPoliciesFor(workload.namespace, labels),
      ...(feed === undefined ? {} : { feed }),
      ...(trust === undefined ? {} : { trust }),
      ...(namespaceLabels === undefined ? {} : { namespaceLabels }),
    };
  }
  if (question.kind === 'edit') return { mesh, pods: [], isCut: false, ...options.editedPods?.(question.policy) };
  const { policy } = question;
  if (policy === undefined) return { mesh };
  const [ports, excess] = [options.portsFor(policy), options.whyOverBudget(policy)];
  return {
    mesh,
    ...(ports === undefined ? {} : { ports }),
    ...(excess === undefined ? {} : { excess }),
  };
}

function dnsNamesOf(service: string, namespace: string): readonly string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`];
}
