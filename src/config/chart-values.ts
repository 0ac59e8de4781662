/*
 * Schema of the Helm chart's values. scripts/gen-chart.ts writes values.schema.json, the comments of values.yaml and the
 * chart's README from it. An unknown key is an error, so that Helm rejects a misspelled `--set`.
 */
import { z } from 'zod';
import { DESCRIPTIONS } from './descriptions.ts';
import { durationSchema, meshSchema } from './mesh.ts';

const string = z.string();
const boolean = z.boolean();
const port = z.int().min(1).max(65_535);
const strings = z.record(string, string);
/** An object of the Kubernetes API, which the API server validates. */
const object = z.record(string, z.unknown());
const objects = z.array(object);
const pullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);
const failurePolicy = z.enum(['Fail', 'Ignore']);
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const timeoutSeconds = z.int().min(1).max(30);
const quantities = z.record(string, z.union([string, z.number()]));
const resources = z.strictObject({ requests: quantities, limits: quantities, claims: objects }).partial();

/** A value with its description. */
function value<T extends z.ZodType>(schema: T, description: string): T {
  return schema.meta({ description });
}

const digest = value(string.regex(/^(sha256:[0-9a-f]{64})?$/), 'Digest (`sha256:…`); takes precedence over the tag');
const tag = value(string, "Tag; the chart's appVersion when empty");
const webhookTimeout = value(timeoutSeconds, 'Seconds that the API server waits for the webhook');
const matchConditions = value(objects, 'CEL match conditions of the webhook, as in Kubernetes');

const names = {
  nameOverride: value(string, 'Name of the chart in labels'),
  fullnameOverride: value(string, "Name of every object; the release's name when empty"),
  commonLabels: value(strings, 'Labels of every object'),
  global: value(object, 'Set by Helm for every chart; not used'),
};

const image = z
  .strictObject({
    registry: value(string, "Registry of the controller's image, and of the agent's image unless `agent.image.registry` is set"),
    repository: value(string.min(1), "Repository of the controller's image"),
    tag,
    digest,
    pullPolicy: value(pullPolicy, "Pull policy of the controller's image"),
  })
  .partial();

const agentImage = z
  .strictObject({
    registry: value(string, "Registry of the agent's image; the controller's when empty"),
    repository: value(string.min(1), "Repository of the agent's image"),
    tag,
    digest,
    pullPolicy: value(pullPolicy, DESCRIPTIONS.agentImagePullPolicy),
  })
  .partial();

const controller = {
  image,
  imagePullSecrets: value(
    objects,
    'Pull secrets of the controller, as `[{ name: … }]`; agents use the pull secrets of the pods they are injected into',
  ),
  agent: z
    .strictObject({
      image: agentImage,
      logLevel: value(logLevel, DESCRIPTIONS.agentLogLevel),
      resources: value(resources, 'Resources of injected agents'),
    })
    .partial(),
  mesh: meshSchema,
  jwks: z
    .strictObject({
      refresh: durationSchema.meta({ description: DESCRIPTIONS.jwksRefresh }),
      blockedCidrs: value(z.array(string), DESCRIPTIONS.jwksBlockedCidrs),
      caConfigMap: value(
        string,
        "ConfigMap in the release's namespace whose key `ca.crt` holds certificate authorities for https, in addition to those of Node.js",
      ),
    })
    .partial(),
  replicaCount: value(z.int().min(0), 'Number of controllers; one leads, all of them serve the webhook'),
  logLevel: value(logLevel, DESCRIPTIONS.logLevel),
  workers: value(z.int().min(1).max(64), DESCRIPTIONS.workers),
  leaderElection: z
    .strictObject({ enabled: value(boolean, 'Elects a leader; required with several replicas, and while a Deployment rolls out') })
    .partial(),
  kubeApi: z
    .strictObject({
      qps: value(z.number().positive(), DESCRIPTIONS.kubeApiQps),
      burst: value(z.int().min(1), DESCRIPTIONS.kubeApiBurst),
    })
    .partial(),
  extraArgs: value(z.array(string), 'Additional arguments of the controller'),
  extraEnv: value(objects, 'Additional environment variables of the controller'),
  extraVolumes: value(objects, "Additional volumes of the controller's pod"),
  extraVolumeMounts: value(objects, "Additional volume mounts of the controller's container"),
};

const webhook = z
  .strictObject({
    port: value(port, DESCRIPTIONS.webhookPort),
    tlsMinVersion: value(z.enum(['TLSv1.2', 'TLSv1.3']), DESCRIPTIONS.tlsMinVersion),
    excludedNamespaces: value(z.array(string), "Namespaces that the webhooks ignore, in addition to the release's namespace"),
    injection: z
      .strictObject({
        enabled: value(boolean, 'Injects agents into pods that are created in labelled namespaces'),
        failurePolicy: value(
          failurePolicy,
          'While the webhook cannot be reached: `Fail` rejects pods, `Ignore` starts them without an agent',
        ),
        timeoutSeconds: webhookTimeout,
        matchConditions,
      })
      .partial(),
    validation: z
      .strictObject({
        enabled: value(boolean, 'Rejects invalid policies when they are applied'),
        failurePolicy: value(
          failurePolicy,
          'While the webhook cannot be reached: `Fail` rejects policies, `Ignore` admits them; the controller validates them in either case',
        ),
        timeoutSeconds: webhookTimeout,
        namespaceSelector: value(object, 'Namespaces whose policies are validated; all when empty'),
        matchConditions,
      })
      .partial(),
  })
  .partial();

const access = {
  serviceAccount: z
    .strictObject({
      create: value(boolean, 'Creates a ServiceAccount'),
      name: value(string, "Name of the ServiceAccount; the release's name when empty"),
      annotations: value(strings, 'Annotations of the ServiceAccount'),
    })
    .partial(),
  rbac: z
    .strictObject({
      create: value(boolean, 'Creates the roles that the controller needs, and their bindings'),
      aggregate: value(boolean, 'Adds read and write access to policies to the roles view, edit and admin'),
    })
    .partial(),
};

const pod = {
  podAnnotations: value(strings, "Annotations of the controller's pod"),
  podLabels: value(strings, "Labels of the controller's pod"),
  deploymentAnnotations: value(strings, 'Annotations of the Deployment'),
  resources: value(resources, 'Resources of the controller'),
  podSecurityContext: value(object, 'Security context of the pod'),
  containerSecurityContext: value(object, 'Security context of the container'),
  livenessProbe: value(object, 'Liveness probe without its handler'),
  readinessProbe: value(object, 'Readiness probe without its handler'),
  updateStrategy: value(object, 'Update strategy of the Deployment'),
  revisionHistoryLimit: value(z.int().min(0), 'Number of ReplicaSets kept for a rollback'),
  terminationGracePeriodSeconds: value(z.int().min(0), 'Seconds that the controller has to stop'),
  priorityClassName: value(string, 'Priority class; `system-cluster-critical` suits a controller that other pods depend on'),
  nodeSelector: value(strings, 'Node selector of the controller'),
  affinity: value(object, 'Affinity of the controller'),
  tolerations: value(objects, 'Tolerations of the controller'),
  topologySpreadConstraints: value(objects, 'Topology spread constraints; when empty, several replicas are spread over nodes'),
  hostNetwork: value(boolean, "Uses the node's network, for clusters whose API servers cannot reach pods"),
  dnsPolicy: value(string, "DNS policy; Kubernetes' default when empty"),
};

const around = {
  service: z
    .strictObject({ annotations: value(strings, 'Annotations of the Service'), metricsPort: value(port, 'Port of `/metrics`') })
    .partial(),
  podDisruptionBudget: z
    .strictObject({
      enabled: value(boolean, 'Keeps controllers running during disruptions; applies to several replicas only'),
      minAvailable: value(z.union([z.int().min(0), string]), 'Minimum number of controllers that stay available'),
    })
    .partial(),
  networkPolicy: z
    .strictObject({
      enabled: value(boolean, "Restricts the controller's connections"),
      ingressFrom: value(objects, 'Peers that may reach webhook and metrics; all when empty'),
      egress: value(objects, 'Destinations that the controller may reach: DNS, the API server, key sources'),
    })
    .partial(),
  serviceMonitor: z
    .strictObject({
      enabled: value(boolean, "Creates a ServiceMonitor; requires the Prometheus operator's CRDs"),
      interval: durationSchema.meta({ description: 'Scrape interval' }),
      labels: value(strings, 'Labels by which Prometheus selects the ServiceMonitor'),
    })
    .partial(),
};

/** JSON Schema (draft 7) of the chart's values, with descriptions; every value may be absent. */
export function chartValuesSchema(): object {
  const schema = z.strictObject({ ...names, ...controller, webhook, ...access, ...pod, ...around }).partial();
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
}
