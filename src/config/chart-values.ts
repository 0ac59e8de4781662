/*
 * Schema of the Helm chart's values. scripts/gen-chart.ts writes values.schema.json, the comments of values.yaml and the
 * chart's README from it. An unknown key is an error, so that Helm rejects a misspelled `--set`.
 */
import * as z from 'zod';
import { CAPTURE_MODES, TRACES_ENDPOINT, TRACES_SAMPLERS } from '../api/kube/agent-contract.ts';
import {
  accessLog,
  accessLogSampleRate,
  agentTls,
  annotationBounds,
  drainSeconds,
  maxConnections,
  probeTiming,
  tracesSampler,
  tracesSamplerArg,
} from './agent-schemas.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { withIstioMesh } from './istio-mesh.ts';
import { keyServers } from './key-servers.ts';
import { internalSources } from './key-sources.ts';
import {
  affinity,
  containerSecurityContext,
  daemonSetStrategy,
  deploymentStrategy,
  dnsConfig,
  environment,
  matchConditions as kubeMatchConditions,
  labelSelector,
  minAvailable,
  networkEgress,
  networkPeers,
  podSecurityContext,
  probe,
  pullSecrets,
  resources,
  tolerations,
  topologySpreadConstraints,
  volumeMounts,
  volumes,
} from './kube-schemas.ts';
import { durationSchema, ipBlockSchema, meshSchema } from './mesh.ts';
import { IMAGE_REPOSITORY, MAX_WATCHED_NAMESPACES, NAMESPACE_NAME, OBJECT_NAME } from './patterns.ts';

const string = z.string();
const boolean = z.boolean();
const port = z.int().min(1).max(65_535);
const strings = z.record(string, string);
const pullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);
const failurePolicy = z.enum(['Fail', 'Ignore']);
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const logFormat = z.enum(['json', 'text']);
const timeoutSeconds = z.int().min(1).max(30);
const objectName = string.regex(OBJECT_NAME);
/** One argument of the controller. Other settings have a separate value. */
const argument = string.regex(
  /^--(?:(?:log-level=(?:trace|debug|info|warn|error|silent))|(?:log-format=(?:json|text))|(?:(?:resync|jwks-refresh)=[1-9][0-9]{0,5}(?:s|m|h))|(?:(?:http-host|webhook-host)=[0-9a-fA-F.:]+)|(?:workers=[1-9]))$/,
);

/** A value with its description. */
function value<T extends z.ZodType>(schema: T, description: string): T {
  return schema.meta({ description });
}

/** A group of values, all of which may be absent. */
function section<T extends z.core.$ZodLooseShape>(description: string, shape: T): z.ZodType {
  return z.strictObject(shape).partial().meta({ description });
}

const digest = value(string.regex(/^(sha256:[0-9a-f]{64})?$/), 'Digest (`sha256:…`); takes precedence over the tag');
const tag = value(string, "Tag; the chart's appVersion when empty");
const webhookTimeout = value(timeoutSeconds, 'Seconds that the API server waits for the webhook');
const matchConditions = value(kubeMatchConditions, 'CEL match conditions of the webhook, as in Kubernetes');

const names = {
  nameOverride: value(objectName, 'Name of the chart in labels'),
  fullnameOverride: value(objectName, "Name of every object; the release's name when empty"),
  commonLabels: value(strings, 'Labels of every object'),
  commonAnnotations: value(strings, 'Annotations of every object'),
  global: value(z.record(string, z.unknown()), 'Set by Helm for every chart; not used'),
};

const image = section('Image of the controller', {
  registry: value(
    string,
    "Registry of the controller's image, and of the agent's image unless `agent.image.registry` is set; a release sets its own, and the `registry.invalid` of a clone cannot exist",
  ),
  repository: value(string.min(1), "Repository of the controller's image"),
  tag,
  digest,
  pullPolicy: value(pullPolicy, "Pull policy of the controller's image"),
});

const agentImage = section('Image of injected agents', {
  registry: value(string, "Registry of the agent's image; the controller's when empty"),
  repository: value(string.min(1), "Repository of the agent's image"),
  tag,
  digest,
  pullPolicy: value(pullPolicy, DESCRIPTIONS.agentImagePullPolicy),
});

const initImage = section("Image of the agent's init container, which redirects inbound connections", {
  registry: value(string, "Registry of the image; the agent's when empty"),
  repository: value(string.min(1), 'Repository of the image'),
  tag,
  digest,
});

const controller = {
  image,
  imagePullSecrets: value(
    pullSecrets,
    'Pull secrets of the controller, as `[{ name: … }]`; agents use the pull secrets of the pods they are injected into',
  ),
  agent: section('Injected agents', {
    image: agentImage,
    initImage,
    logLevel: value(logLevel, DESCRIPTIONS.agentLogLevel),
    logFormat: value(logFormat, DESCRIPTIONS.agentLogFormat),
    resources: value(resources, 'Resources of injected agents'),
    initResources: value(resources, DESCRIPTIONS.initResources),
    accessLog,
    accessLogSampleRate,
    drainSeconds,
    maxConnections,
    traces: section('Traces of requests', {
      endpoint: value(z.union([z.literal(''), string.regex(TRACES_ENDPOINT)]), `${DESCRIPTIONS.agentTracesEndpoint}; no traces when empty`),
      sampler: tracesSampler,
      samplerArg: tracesSamplerArg,
    }),
    tls: value(agentTls, DESCRIPTIONS.agentTls),
    startupProbe: value(probeTiming, "Timing of the agent's startup probe"),
    readinessProbe: value(probeTiming, "Timing of the agent's readiness probe"),
    annotationBounds: value(annotationBounds, DESCRIPTIONS.annotationBounds),
    repositories: value(z.array(string.regex(IMAGE_REPOSITORY)), DESCRIPTIONS.agentRepositories),
    privilegedContainers: value(z.enum(['refuse', 'report']), DESCRIPTIONS.privilegedContainers),
    istioPods: value(z.enum(['refuse', 'inject', 'skip']), DESCRIPTIONS.istioPods),
  }),
  mesh: meshSchema.meta({ description: "Mesh-wide settings, with the names of Istio's MeshConfig" }),
  jwks: section('Fetching of key sets', {
    refresh: durationSchema.meta({ description: DESCRIPTIONS.jwksRefresh }),
    blockedCidrs: value(z.array(ipBlockSchema), DESCRIPTIONS.jwksBlockedCidrs),
    internalCidrs: value(z.array(ipBlockSchema), DESCRIPTIONS.jwksInternalCidrs),
    internalSources,
    caConfigMap: value(
      string.regex(/^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)?$/),
      "ConfigMap in the release's namespace whose key `ca.crt` holds certificate authorities for https, in addition to those of Node.js",
    ),
    servers: keyServers.meta({ description: `${DESCRIPTIONS.jwksServers}. Changes need no restart` }),
  }),
  replicaCount: value(z.int().min(0).max(100), 'Number of controllers; one leads, all of them serve the webhook'),
  logLevel: value(logLevel, `${DESCRIPTIONS.logLevel}; a change needs no restart`),
  logFormat: value(logFormat, `${DESCRIPTIONS.logFormat}; a change needs no restart`),
  httpPort: value(port, 'Port of the controller for health and metrics; with hostNetwork it must be free on the node'),
  profilingPort: value(
    z.int().min(0).max(65_535),
    `${DESCRIPTIONS.profilingPort}. Not with hostNetwork, where that is the address of the node. Those of an agent are set by the annotation \`sallyport.dev/profiling-port\` of its pod`,
  ),
  workers: value(z.int().min(1).max(64), DESCRIPTIONS.workers),
  watchNamespaces: value(
    z.array(string.regex(NAMESPACE_NAME)).max(MAX_WATCHED_NAMESPACES),
    `${DESCRIPTIONS.watchNamespaces}; see [Some namespaces only](#some-namespaces-only)`,
  ),
  leaderElection: section('Leader election', {
    enabled: value(boolean, 'Elects a leader; required with several replicas, and while a Deployment rolls out'),
  }),
  kubeApi: section('Requests to the API server', {
    qps: value(z.number().positive(), DESCRIPTIONS.kubeApiQps),
    burst: value(z.int().min(1), DESCRIPTIONS.kubeApiBurst),
  }),
  extraArgs: value(
    z.array(argument),
    'Additional arguments of the controller, each as `--flag=value`: `--log-level`, `--log-format`, `--resync`, `--jwks-refresh`, `--workers`, `--http-host` or `--webhook-host`',
  ),
  extraEnv: value(environment, 'Additional environment variables of the controller'),
  extraVolumes: value(volumes, "Additional volumes of the controller's pod"),
  extraVolumeMounts: value(volumeMounts, "Additional volume mounts of the controller's container"),
};

const webhook = section('Admission webhooks', {
  port: value(port, DESCRIPTIONS.webhookPort),
  tlsMinVersion: value(z.enum(['TLSv1.2', 'TLSv1.3']), DESCRIPTIONS.tlsMinVersion),
  certManager: section('Certificates of cert-manager', {
    enabled: value(
      boolean,
      "Takes the webhook's certificate and `caBundle` from cert-manager; the controller then has no rights on webhook configurations",
    ),
    issuerRef: value(
      z.strictObject({ name: string.min(1), kind: z.enum(['Issuer', 'ClusterIssuer']), group: string.min(1) }).partial(),
      'Issuer of the certificate, as in a Certificate; a self-signed one when empty',
    ),
  }),
  certificate: section('A certificate that neither the controller nor cert-manager issues', {
    secretName: value(
      string,
      "Secret in the release's namespace with `tls.crt` and `tls.key`, for `<name>.<namespace>.svc`; the controller reads it again when it changes",
    ),
    caBundle: value(string, 'Base64 of the PEM certificates that signed it, for both webhook configurations'),
  }),
  excludedNamespaces: value(z.array(string), "Namespaces that the webhooks ignore, in addition to the release's namespace"),
  injection: section('Injection of agents', {
    enabled: value(boolean, 'Injects agents into pods that are created in labelled namespaces'),
    failurePolicy: value(failurePolicy, 'While the webhook cannot be reached: `Fail` rejects pods, `Ignore` starts them without an agent'),
    timeoutSeconds: webhookTimeout,
    namespaceSelector: value(labelSelector, 'Further restricts the namespaces in which pods get agents'),
    objectSelector: value(labelSelector, 'Further restricts the pods that get agents'),
    matchConditions,
  }),
  validation: section('Validation of policies', {
    enabled: value(boolean, 'Rejects invalid policies when they are applied'),
    newAccessWarnings: value(boolean, DESCRIPTIONS.newAccessWarnings),
    failurePolicy: value(
      failurePolicy,
      'While the webhook cannot be reached: `Fail` rejects policies, `Ignore` admits them; the controller validates them in either case',
    ),
    timeoutSeconds: webhookTimeout,
    namespaceSelector: value(labelSelector, 'Namespaces whose policies are validated; all when empty'),
    objectSelector: value(labelSelector, 'Policies that are validated, by their labels; all when empty'),
    matchConditions,
  }),
});

const capture = section('Capture of connections', {
  mode: value(z.enum(CAPTURE_MODES), `${DESCRIPTIONS.captureMode}; see [Restricted namespaces](#restricted-namespaces)`),
  node: section('DaemonSet of the mode `node`', {
    keep: value(
      boolean,
      'Runs the DaemonSet with `capture.mode: pod`, too, for pods that were injected with `node`: each needs it whenever its sandbox is created again',
    ),
    namespace: value(objectName, 'Namespace of the DaemonSet, which needs the Pod Security level `privileged`'),
    createNamespace: value(boolean, 'Creates this namespace, and deletes it with the release'),
    netnsDirectory: value(
      string.regex(/^\/[^\s]{0,255}$/),
      'Directory of the node in which the container runtime mounts the network namespaces of pods',
    ),
    httpPort: value(port, 'Port of the DaemonSet for health and metrics, in the network of its pods'),
    resources: value(resources, 'Resources of the DaemonSet'),
    containerSecurityContext: value(
      containerSecurityContext,
      'Security context of its container: SYS_ADMIN enters network namespaces, NET_ADMIN and NET_RAW set rules. With SELinux add `seLinuxOptions: { type: spc_t }`',
    ),
    updateStrategy: value(daemonSetStrategy, 'Update strategy of the DaemonSet; running pods keep their rules meanwhile'),
    priorityClassName: value(string, 'Priority class of the DaemonSet: pods with agents do not start without it'),
    nodeSelector: value(strings, 'Node selector of the DaemonSet; it must select every node that runs pods with agents'),
    affinity: value(affinity, 'Affinity of the DaemonSet'),
    tolerations: value(tolerations, 'Tolerations of the DaemonSet'),
    podAnnotations: value(strings, 'Annotations of its pods'),
    podLabels: value(strings, 'Labels of its pods'),
  }),
});

const feed = section('Feed of bundles to agents', {
  enabled: value(boolean, DESCRIPTIONS.feedEnabled),
  port: value(port, DESCRIPTIONS.feedPort),
  maxStreams: value(z.int().min(1).max(100_000), DESCRIPTIONS.feedMaxStreams),
});

const traces = section('Traces of the controller', {
  endpoint: value(z.union([z.literal(''), string.regex(TRACES_ENDPOINT)]), `${DESCRIPTIONS.tracesEndpoint}; no traces when empty`),
  sampler: value(z.enum(TRACES_SAMPLERS), DESCRIPTIONS.tracesSampler),
  samplerArg: value(z.number().min(0).max(1), DESCRIPTIONS.tracesSamplerArg),
});

const reports = section('Reports of findings', {
  enabled: value(boolean, `${DESCRIPTIONS.reportsEnabled}; see [Reports](#reports)`),
});

const access = {
  serviceAccount: section('ServiceAccount of the controller', {
    create: value(boolean, 'Creates a ServiceAccount'),
    name: value(string, "Name of the ServiceAccount; the release's name when empty"),
    annotations: value(strings, 'Annotations of the ServiceAccount'),
  }),
  rbac: section('Roles', {
    create: value(boolean, 'Creates the roles that the controller needs, and their bindings'),
    aggregate: value(boolean, 'Adds read and write access to policies to the roles view, edit and admin'),
  }),
};

const admission = section('Admission policies', {
  enabled: value(
    boolean,
    'Creates ValidatingAdmissionPolicies that keep everyone but the controller from changing agents, their pods and bundles, and the controller from changing anything else',
  ),
  namespaceSelector: value(labelSelector, 'Namespaces in which the policies apply; all when empty'),
  breakGlassGroups: value(z.array(string), 'Groups that the policies do not restrict'),
  garbageCollectors: value(z.array(string), 'Users that may delete bundles when their namespace or owner goes'),
});

const pod = {
  podAnnotations: value(strings, "Annotations of the controller's pod"),
  podLabels: value(strings, "Labels of the controller's pod"),
  deploymentAnnotations: value(strings, 'Annotations of the Deployment'),
  resources: value(resources, 'Resources of the controller'),
  podSecurityContext: value(podSecurityContext, 'Security context of the pod'),
  containerSecurityContext: value(containerSecurityContext, 'Security context of the container'),
  livenessProbe: value(probe, 'Liveness probe without its handler'),
  readinessProbe: value(probe, 'Readiness probe without its handler'),
  lifecycle: value(
    z.record(string, z.unknown()),
    'Lifecycle hooks of the container; the image has no shell, so that `sleep` and `httpGet` are useful, and `exec` is not',
  ),
  updateStrategy: value(deploymentStrategy, 'Update strategy of the Deployment'),
  revisionHistoryLimit: value(z.int().min(0), 'Number of ReplicaSets kept for a rollback'),
  terminationGracePeriodSeconds: value(z.int().min(0), 'Seconds that the controller has to stop'),
  priorityClassName: value(string, 'Priority class; `system-cluster-critical` suits a controller that other pods depend on'),
  nodeSelector: value(strings, 'Node selector of the controller'),
  affinity: value(affinity, 'Affinity of the controller'),
  tolerations: value(tolerations, 'Tolerations of the controller'),
  topologySpreadConstraints: value(
    topologySpreadConstraints,
    'Topology spread constraints; when empty, several replicas are spread over nodes',
  ),
  hostNetwork: value(boolean, "Uses the node's network, for clusters whose API servers cannot reach pods"),
  dnsPolicy: value(string, "DNS policy; when empty, Kubernetes' default, with hostNetwork `ClusterFirstWithHostNet`"),
  dnsConfig: value(dnsConfig, 'DNS configuration of the controller, in addition to its policy'),
};

const around = {
  service: section('Service of the controller', {
    annotations: value(strings, 'Annotations of the Service'),
    metricsPort: value(port, 'Port of `/metrics`'),
  }),
  podDisruptionBudget: section('PodDisruptionBudget of the controller', {
    enabled: value(boolean, 'Keeps controllers running during disruptions; applies to several replicas only'),
    minAvailable: value(minAvailable, 'Minimum number of controllers that stay available'),
  }),
  networkPolicy: section('NetworkPolicy of the controller', {
    enabled: value(boolean, "Restricts the controller's connections: others reach its webhook and its HTTP port only"),
    ingressFrom: value(networkPeers, 'Peers that may reach webhook and metrics; all when empty'),
    egress: value(
      networkEgress,
      'Destinations that the controller may reach; all when empty. It needs DNS, the API server, the key sources of the policies and, with `feed.enabled`, port `feed.port` of the other replicas',
    ),
  }),
  serviceMonitor: section('ServiceMonitor of the Prometheus operator', {
    enabled: value(boolean, "Creates a ServiceMonitor; requires the Prometheus operator's CRDs"),
    interval: durationSchema.meta({ description: 'Scrape interval' }),
    labels: value(strings, 'Labels by which Prometheus selects the ServiceMonitor'),
  }),
  podMonitor: section('PodMonitor of the Prometheus operator, for agents', {
    enabled: value(boolean, "Creates a PodMonitor of the agents in all namespaces; requires the Prometheus operator's CRDs"),
    interval: durationSchema.meta({ description: 'Scrape interval' }),
    labels: value(strings, 'Labels by which Prometheus selects the PodMonitor'),
  }),
  prometheusRule: section('PrometheusRule of the Prometheus operator', {
    enabled: value(boolean, "Creates alerts; requires the Prometheus operator's CRDs"),
    labels: value(strings, 'Labels by which Prometheus selects the PrometheusRule'),
    denyRatio: value(z.number().positive().max(1), 'Share of refused requests of a namespace above which an alert fires'),
    keyAgeSeconds: value(z.int().min(60), 'Age of fetched keys above which an alert fires'),
  }),
  dashboards: section('Dashboards of Grafana', {
    enabled: value(boolean, 'Creates a ConfigMap for each dashboard, which the sidecar of Grafana loads'),
    labels: value(strings, 'Labels by which the sidecar selects the ConfigMaps'),
    annotations: value(strings, 'Annotations of the ConfigMaps, such as the place of the dashboards in Grafana'),
  }),
  tests: section('`helm test`', {
    enabled: value(boolean, 'Creates the hooks of `helm test`, which check one allowed and one denied request'),
    namespace: value(objectName, 'Namespace of the tests; it must not be excluded from injection'),
    patienceSeconds: value(z.int().min(1).max(3600), 'Seconds to wait until the pods are ready and the policy is enforced'),
  }),
  extraObjects: value(
    z.array(z.union([z.record(string, z.unknown()), string])),
    'Further objects, each a mapping or a string; rendered as templates',
  ),
};

/** JSON Schema (draft 7) of the chart's values, with descriptions; every value may be absent. */
export function chartValuesSchema(): object {
  const schema = z
    .strictObject({ ...names, ...controller, capture, webhook, feed, traces, reports, admission, ...access, ...pod, ...around })
    .partial();
  const { properties, ...json } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  return { ...json, properties: { ...properties, mesh: withIstioMesh(properties?.['mesh'] as object) } };
}
