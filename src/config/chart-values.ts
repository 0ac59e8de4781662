/*
 * Schema of the Helm chart's values. scripts/gen-chart.ts writes values.schema.json, the comments of values.yaml and the
 * chart's README from it. An unknown key is an error, so that Helm rejects a misspelled `--set`.
 */
import { z } from 'zod';
import { accessLog, accessLogSampleRate, annotationBounds, drainSeconds, maxConnections, probeTiming } from './agent-schemas.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { withIstioMesh } from './istio-mesh.ts';
import { internalSources } from './key-sources.ts';
import {
  affinity,
  containerSecurityContext,
  deploymentStrategy,
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
import { IMAGE_REPOSITORY, OBJECT_NAME } from './patterns.ts';

const string = z.string();
const boolean = z.boolean();
const port = z.int().min(1).max(65_535);
const strings = z.record(string, string);
const pullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);
const failurePolicy = z.enum(['Fail', 'Ignore']);
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const timeoutSeconds = z.int().min(1).max(30);
const objectName = string.regex(OBJECT_NAME);
/** One argument of the controller. Other settings have a separate value. */
const argument = string.regex(
  /^--(?:(?:log-level=(?:trace|debug|info|warn|error|silent))|(?:(?:resync|jwks-refresh)=[1-9][0-9]{0,5}(?:s|m|h))|(?:(?:http-host|webhook-host)=[0-9a-fA-F.:]+)|(?:workers=[1-9]))$/,
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
  global: value(z.record(string, z.unknown()), 'Set by Helm for every chart; not used'),
};

const image = section('Image of the controller', {
  registry: value(
    string,
    "Registry of the controller's image, and of the agent's image unless `agent.image.registry` is set; the default names a registry that cannot exist, because the project publishes no images",
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

const controller = {
  image,
  imagePullSecrets: value(
    pullSecrets,
    'Pull secrets of the controller, as `[{ name: … }]`; agents use the pull secrets of the pods they are injected into',
  ),
  agent: section('Injected agents', {
    image: agentImage,
    logLevel: value(logLevel, DESCRIPTIONS.agentLogLevel),
    resources: value(resources, 'Resources of injected agents'),
    initResources: value(resources, DESCRIPTIONS.initResources),
    accessLog,
    accessLogSampleRate,
    drainSeconds,
    maxConnections,
    startupProbe: value(probeTiming, "Timing of the agent's startup probe"),
    readinessProbe: value(probeTiming, "Timing of the agent's readiness probe"),
    annotationBounds: value(annotationBounds, DESCRIPTIONS.annotationBounds),
    repositories: value(z.array(string.regex(IMAGE_REPOSITORY)), DESCRIPTIONS.agentRepositories),
    privilegedContainers: value(z.enum(['refuse', 'report']), DESCRIPTIONS.privilegedContainers),
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
  }),
  replicaCount: value(z.int().min(0).max(100), 'Number of controllers; one leads, all of them serve the webhook'),
  logLevel: value(logLevel, DESCRIPTIONS.logLevel),
  workers: value(z.int().min(1).max(64), DESCRIPTIONS.workers),
  leaderElection: section('Leader election', {
    enabled: value(boolean, 'Elects a leader; required with several replicas, and while a Deployment rolls out'),
  }),
  kubeApi: section('Requests to the API server', {
    qps: value(z.number().positive(), DESCRIPTIONS.kubeApiQps),
    burst: value(z.int().min(1), DESCRIPTIONS.kubeApiBurst),
  }),
  extraArgs: value(
    z.array(argument),
    'Additional arguments of the controller, each as `--flag=value`: `--log-level`, `--resync`, `--jwks-refresh`, `--workers`, `--http-host` or `--webhook-host`',
  ),
  extraEnv: value(environment, 'Additional environment variables of the controller'),
  extraVolumes: value(volumes, "Additional volumes of the controller's pod"),
  extraVolumeMounts: value(volumeMounts, "Additional volume mounts of the controller's container"),
};

const webhook = section('Admission webhooks', {
  port: value(port, DESCRIPTIONS.webhookPort),
  tlsMinVersion: value(z.enum(['TLSv1.2', 'TLSv1.3']), DESCRIPTIONS.tlsMinVersion),
  excludedNamespaces: value(z.array(string), "Namespaces that the webhooks ignore, in addition to the release's namespace"),
  injection: section('Injection of agents', {
    enabled: value(boolean, 'Injects agents into pods that are created in labelled namespaces'),
    failurePolicy: value(failurePolicy, 'While the webhook cannot be reached: `Fail` rejects pods, `Ignore` starts them without an agent'),
    timeoutSeconds: webhookTimeout,
    matchConditions,
  }),
  validation: section('Validation of policies', {
    enabled: value(boolean, 'Rejects invalid policies when they are applied'),
    failurePolicy: value(
      failurePolicy,
      'While the webhook cannot be reached: `Fail` rejects policies, `Ignore` admits them; the controller validates them in either case',
    ),
    timeoutSeconds: webhookTimeout,
    namespaceSelector: value(labelSelector, 'Namespaces whose policies are validated; all when empty'),
    matchConditions,
  }),
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
  dnsPolicy: value(string, "DNS policy; Kubernetes' default when empty"),
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
    enabled: value(boolean, "Restricts the controller's connections"),
    ingressFrom: value(networkPeers, 'Peers that may reach webhook and metrics; all when empty'),
    egress: value(networkEgress, 'Destinations that the controller may reach: DNS, the API server, key sources'),
  }),
  serviceMonitor: section('ServiceMonitor of the Prometheus operator', {
    enabled: value(boolean, "Creates a ServiceMonitor; requires the Prometheus operator's CRDs"),
    interval: durationSchema.meta({ description: 'Scrape interval' }),
    labels: value(strings, 'Labels by which Prometheus selects the ServiceMonitor'),
  }),
};

/** JSON Schema (draft 7) of the chart's values, with descriptions; every value may be absent. */
export function chartValuesSchema(): object {
  const schema = z.strictObject({ ...names, ...controller, webhook, admission, ...access, ...pod, ...around }).partial();
  const { properties, ...json } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  return { ...json, properties: { ...properties, mesh: withIstioMesh(properties?.['mesh'] as object) } };
}
