/*
 * Starts the webhook: the TLS server for injection and validation, and the rotation of its certificates.
 */
import type { SecureVersion } from 'node:tls';
import type { Policy } from '../api/istio/resources.ts';
import type { InjectedFeed } from '../api/kube/agent-contract.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { EditedPods } from '../resolve/edited-pods.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { WebhookMetrics } from '../telemetry/webhook-metrics.ts';
import type { Tracer } from '../traces/tracer.ts';
import type { AdmissionSettings, Facts, Question } from './admission-messages.ts';
import { type AdmissionThread, type AdmissionThreadOptions, startAdmissionThread } from './admission-thread.ts';
import { followCertificateFiles } from './certs/certificate-files.ts';
import { rotateCertificates, type ServedCertificate } from './certs/certificate-rotator.ts';
import type { ChangedFact, FactSource } from './fact-source.ts';
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
  /** What the thread keeps a copy of; without the feed. */
  readonly facts: FactSource;
  /** Ports of the pods that a policy would select; undefined: not known. */
  readonly portsFor: PolicyContext['portsFor'];
  /** Why a policy would be over its budget; undefined: it would not. */
  readonly whyOverBudget: PolicyContext['whyOverBudget'];
  /** The pods whose policies an edit changes, from the caches of this replica: warnings then say what it lets in. Absent: they do not. */
  readonly editedPods?: (policy: Policy) => EditedPods;
  /** Starts `admission-worker.ts` with {@link ADMISSION_MEMORY}. */
  readonly startWorker: AdmissionThreadOptions['startWorker'];
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
  const feedFacts = withFeed(options);
  const server = await startThread(options, { facts: feedFacts.facts, clock, logger });
  const stopping = new AbortController();
  let expiresMs: number | undefined;
  const onServing = (certificate: ServedCertificate): void => {
    server.serve(certificate.serving);
    expiresMs = certificate.expiresMs;
    options.metrics?.onCertificate(expiresMs);
    options.onCertificate?.(certificate);
    feedFacts.onFeed();
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

function startThread(options: WebhookOptions, parts: Pick<AdmissionThreadOptions, 'facts' | 'clock' | 'logger'>): Promise<AdmissionThread> {
  const { host, port, tlsMinVersion = 'TLSv1.2', injection, startWorker, metrics, tracer } = options;
  return startAdmissionThread({
    ...parts,
    settings: { host, port, tlsMinVersion, injection, newAccess: options.editedPods !== undefined },
    startWorker,
    answer: (question) => answerFrom(options, question),
    onReview: (sample) => {
      metrics?.onReview(sample);
      if (tracer !== undefined) traceReview(tracer, sample);
    },
  });
}

/** The facts together with the feed, and what is to be called when the feed may have changed. */
function withFeed({ facts, feed }: WebhookOptions): { readonly facts: FactSource; readonly onFeed: () => void } {
  const listeners = new Set<(changed: ChangedFact) => void>();
  return {
    facts: {
      ...facts,
      settings: () => {
        const present = feed?.();
        return { ...facts.settings(), ...(present === undefined ? {} : { feed: present }) };
      },
      subscribe: (listener) => {
        listeners.add(listener);
        const unsubscribe = facts.subscribe(listener);
        return () => {
          listeners.delete(listener);
          unsubscribe();
        };
      },
    },
    onFeed: () => {
      for (const listener of listeners) listener({ kind: 'settings' });
    },
  };
}

/** What the caches of this replica know about a policy under review. */
function answerFrom(options: WebhookOptions, question: Question): Facts {
  if (question.kind === 'present') return {};
  const { policy } = question;
  if (question.kind === 'edit') return { mesh: options.facts.settings().mesh, pods: [], isCut: false, ...options.editedPods?.(policy) };
  const [ports, excess] = [options.portsFor(policy), options.whyOverBudget(policy)];
  return { ...(ports === undefined ? {} : { ports }), ...(excess === undefined ? {} : { excess }) };
}

function dnsNamesOf(service: string, namespace: string): readonly string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`];
}
