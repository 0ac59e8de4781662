/*
 * The containers and volumes that injection adds to a pod, as plain Kubernetes JSON. The same input gives the same output.
 */

import type { InjectedTls } from '../api/kube/agent-contract.ts';
import {
  AGENT_ADMIN_PORT,
  AGENT_CAPTURE_PORT,
  AGENT_CONTAINER,
  AGENT_ENV,
  AGENT_USER,
  AGENT_VOLUMES,
  type AppProbes,
  BUNDLE_DIRECTORY,
  BUNDLE_LEVEL,
  CAPTURE_COMMANDS,
  FEED_AUDIENCE,
  FEED_DIRECTORY,
  FEED_TOKEN,
  LABELS_FILE,
  POD_INFO_DIRECTORY,
  REDIRECT_CONTAINER,
  REDIRECT_ENV,
  RENDERING,
  STATE_DIRECTORY,
  TLS_DIRECTORY,
  TOKEN_DIRECTORY,
  WAIT_ENV,
} from '../api/kube/agent-contract.ts';
import { initImageOf } from '../api/kube/agent-image.ts';
import { bundleVolume } from '../api/kube/bundle-volume.ts';
import type { WorkloadId } from '../api/kube/keys.ts';
import { DEFAULT_MESH_CONFIG } from '../api/mesh-config.ts';
import type { Capture } from './capture.ts';
import type { Raw } from './raw-json.ts';
import { DEFAULT_AGENT_RESOURCES, DEFAULT_INIT_RESOURCES, type InjectionSettings } from './settings.ts';

/** What to inject into one pod. */
export interface AgentPlan {
  readonly settings: InjectionSettings;
  readonly workload: WorkloadId;
  readonly capture: Capture;
  readonly probes: AppProbes;
}

const NO_TOKEN: Raw = { name: AGENT_VOLUMES.noToken, mountPath: TOKEN_DIRECTORY, readOnly: true };

/**
 * The init container that redirects inbound connections, or waits until a program on the node has done so. It completes before any user container
 * starts, so that no port is ever open without an agent.
 */
export function redirectContainer(plan: AgentPlan): Raw {
  const { capture } = plan;
  const { captureMode = 'pod' } = plan.settings;
  const { env, securityContext, volumeMounts } = captureMode === 'node' ? WAITING : REDIRECTING;
  const excluded = [AGENT_ADMIN_PORT, ...capture.excluded].flatMap((port) => ['--exclude', String(port)]);
  const only = (capture.only ?? []).flatMap((port) => ['--only', String(port)]);
  return {
    name: REDIRECT_CONTAINER,
    ...imageOf(plan.settings),
    image: plan.settings.initImage ?? initImageOf(plan.settings.image) ?? plan.settings.image,
    args: [CAPTURE_COMMANDS[captureMode], '--all', String(AGENT_CAPTURE_PORT), ...excluded, ...only],
    env,
    resources: plan.settings.initResources ?? DEFAULT_INIT_RESOURCES,
    securityContext,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [...volumeMounts, NO_TOKEN],
  };
}

interface Rights {
  readonly env: readonly Raw[];
  readonly securityContext: Raw;
  readonly volumeMounts: readonly Raw[];
}

/** What iptables needs. */
const REDIRECTING: Rights = {
  env: [{ name: REDIRECT_ENV, value: `${STATE_DIRECTORY}/xtables.lock` }],
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsGroup: 0,
    runAsNonRoot: false,
    runAsUser: 0,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  volumeMounts: [{ name: AGENT_VOLUMES.state, mountPath: STATE_DIRECTORY }],
};

/** What the Pod Security level `restricted` demands. */
const UNPRIVILEGED: Raw = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  privileged: false,
  readOnlyRootFilesystem: true,
  runAsGroup: AGENT_USER,
  runAsNonRoot: true,
  runAsUser: AGENT_USER,
  seccompProfile: { type: 'RuntimeDefault' },
};

const WAITING: Rights = {
  env: [field(WAIT_ENV.podUid, 'metadata.uid'), field(WAIT_ENV.nodeName, 'spec.nodeName')],
  securityContext: UNPRIVILEGED,
  volumeMounts: [],
};

/** The agent as a native sidecar: it starts before the user's containers, stops after them, and does not keep a Job from completing. */
export function agentContainer(plan: AgentPlan): Raw {
  return {
    name: AGENT_CONTAINER,
    ...imageOf(plan.settings),
    restartPolicy: 'Always',
    env: environment(plan),
    ports: [{ name: 'sallyport', containerPort: AGENT_ADMIN_PORT, protocol: 'TCP' }],
    resources: plan.settings.resources ?? DEFAULT_AGENT_RESOURCES,
    // The startup probe only requires a live agent: one without a bundle responds with 503 and must not delay the application.
    // The kubelet probes as soon as the container runs, before the agent listens: without the delay each pod starts with a failed probe
    // and an event Unhealthy, and is probed again after this second anyway.
    startupProbe: {
      httpGet: { path: '/healthz', port: AGENT_ADMIN_PORT, scheme: 'HTTP' },
      initialDelaySeconds: 1,
      periodSeconds: 1,
      timeoutSeconds: 3,
      failureThreshold: 60,
      ...plan.settings.startupProbe,
    },
    readinessProbe: readinessProbe(plan),
    securityContext: UNPRIVILEGED,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      // Not with subPath: the kubelet does not update subPath mounts.
      { name: AGENT_VOLUMES.bundle, mountPath: BUNDLE_DIRECTORY, readOnly: true },
      { name: AGENT_VOLUMES.podInfo, mountPath: POD_INFO_DIRECTORY, readOnly: true },
      { name: AGENT_VOLUMES.state, mountPath: STATE_DIRECTORY },
      NO_TOKEN,
      ...(plan.settings.feed === undefined ? [] : [{ name: AGENT_VOLUMES.feed, mountPath: FEED_DIRECTORY, readOnly: true }]),
      ...tlsMounts(plan.settings),
    ],
  };
}

/** Of {@link READINESS}.timeoutSeconds, for the response to reach the kubelet. */
const RESPONSE_SECONDS = 0.5;
const READINESS = { periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 3 } as const;

/**
 * The probe waits for the first bundle, which a new workload gets a moment after its pod has started: a probe that fails is an event
 * Unhealthy, and the next one comes a period later.
 */
function readinessProbe({ settings }: AgentPlan): Raw {
  const timing = { ...READINESS, ...settings.readinessProbe };
  const path = `/readyz?wait=${timing.timeoutSeconds - RESPONSE_SECONDS}`;
  return { httpGet: { path, port: AGENT_ADMIN_PORT, scheme: 'HTTP' }, ...timing };
}

/** Seconds that a token for the feed is valid; the kubelet renews it before. */
const FEED_TOKEN_SECONDS = 3600;

/** The volumes of both containers. */
export function agentVolumes(workload: WorkloadId, { feed, tls }: InjectionSettings): readonly Raw[] {
  return [
    // Until the controller has created the bundle, the agent rejects all requests.
    bundleVolume(workload),
    { name: AGENT_VOLUMES.podInfo, downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    // In memory: the cluster autoscaler does not remove a node with a pod that has local storage on its disk.
    { name: AGENT_VOLUMES.state, emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
    { name: AGENT_VOLUMES.noToken, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ...(feed === undefined ? [] : [feedVolume()]),
    ...(tls?.volume === undefined || tls.mode === 'off' ? [] : [{ name: AGENT_VOLUMES.tls, ...tls.volume }]),
  ];
}

/** Read-only: the agent only reads them. Not with subPath, so that they are replaced. */
function tlsMounts({ tls }: InjectionSettings): readonly Raw[] {
  if (tls === undefined || tls.mode === 'off') return [];
  return [{ name: tls.volume === undefined ? tls.podVolume : AGENT_VOLUMES.tls, mountPath: TLS_DIRECTORY, readOnly: true }];
}

function tlsEnvironment({ tls, trustDomains = [DEFAULT_MESH_CONFIG.trustDomain] }: InjectionSettings): readonly Raw[] {
  if (tls === undefined || tls.mode === 'off') return [];
  const { mode, certificate, key, trustBundle } = tls;
  const names = { certificate, key, trustBundle };
  const injected: InjectedTls = {
    mode,
    trustDomains,
    ...Object.fromEntries(Object.entries(names).filter(([, name]) => name !== undefined)),
  };
  return [{ name: AGENT_ENV.tls, value: JSON.stringify(injected) }];
}

function feedVolume(): Raw {
  const serviceAccountToken = { audience: FEED_AUDIENCE, expirationSeconds: FEED_TOKEN_SECONDS, path: FEED_TOKEN };
  return { name: AGENT_VOLUMES.feed, projected: { sources: [{ serviceAccountToken }] } };
}

function environment(plan: AgentPlan): readonly Raw[] {
  const { settings, capture, probes } = plan;
  return [
    field(AGENT_ENV.podIp, 'status.podIP'),
    field(AGENT_ENV.podName, 'metadata.name'),
    field(AGENT_ENV.namespace, 'metadata.namespace'),
    { name: AGENT_ENV.workload, value: plan.workload.name },
    { name: AGENT_ENV.workloadKind, value: plan.workload.kind },
    { name: AGENT_ENV.bundleLevel, value: String(BUNDLE_LEVEL) },
    { name: AGENT_ENV.trustAnchor, value: settings.trust.anchor },
    { name: AGENT_ENV.bundleFloor, value: String(settings.trust.floor) },
    ...(settings.feed === undefined ? [] : [{ name: AGENT_ENV.feed, value: JSON.stringify(settings.feed) }]),
    { name: AGENT_ENV.capturePort, value: String(AGENT_CAPTURE_PORT) },
    ...(capture.appProtocols.length === 0 ? [] : [{ name: AGENT_ENV.appProtocols, value: capture.appProtocols.join(',') }]),
    { name: AGENT_ENV.adminPort, value: String(AGENT_ADMIN_PORT) },
    { name: AGENT_ENV.bundleDirectory, value: BUNDLE_DIRECTORY },
    { name: AGENT_ENV.labelsFile, value: LABELS_FILE },
    { name: AGENT_ENV.stateDirectory, value: STATE_DIRECTORY },
    { name: AGENT_ENV.rendering, value: String(RENDERING) },
    ...(Object.keys(probes).length === 0 ? [] : [{ name: AGENT_ENV.appProbes, value: JSON.stringify(probes) }]),
    ...optional(AGENT_ENV.logLevel, settings.logLevel),
    ...optional(AGENT_ENV.logFormat, settings.logFormat),
    ...optional(AGENT_ENV.accessLog, settings.accessLog),
    ...optional(AGENT_ENV.accessLogSampleRate, settings.accessLogSampleRate),
    ...optional(AGENT_ENV.acceptHttp10, settings.acceptHttp10),
    ...optional(AGENT_ENV.reevaluateStreams, settings.reevaluateStreams),
    ...optional(AGENT_ENV.profilingPort, settings.profilingPort),
    ...optional(AGENT_ENV.drainSeconds, settings.drainSeconds),
    ...optional(AGENT_ENV.maxConnections, settings.maxConnections),
    ...optional(AGENT_ENV.otlpEndpoint, settings.traces?.endpoint),
    ...optional(AGENT_ENV.tracesSampler, settings.traces?.sampler),
    ...optional(AGENT_ENV.tracesSamplerArg, settings.traces?.samplerArg),
    ...tlsEnvironment(settings),
  ];
}

function field(name: string, fieldPath: string): Raw {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function optional(name: string, value: string | number | undefined): readonly Raw[] {
  return value === undefined ? [] : [{ name, value: String(value) }];
}

function imageOf(settings: InjectionSettings): Raw {
  return {
    image: settings.image,
    ...(settings.imagePullPolicy === undefined ? {} : { imagePullPolicy: settings.imagePullPolicy }),
  };
}
