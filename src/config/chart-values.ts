/*
 * The values of the Helm chart. In: nothing. Out: a zod schema, from which scripts/gen-chart.ts writes values.schema.json;
 * a key that nobody knows is an error, so that a typing mistake in `--set` does not pass for a setting.
 */
import { z } from 'zod';
import { durationSchema, meshSchema } from './mesh.ts';

const text = z.string();
const port = z.int().min(1).max(65_535);
const textMap = z.record(text, text);
/** Kubernetes' own shapes, which the API server checks. */
const object = z.record(text, z.unknown());
const objects = z.array(object);
const pullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);
const failurePolicy = z.enum(['Fail', 'Ignore']);
const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);
const timeoutSeconds = z.int().min(1).max(30);
const quantities = z.record(text, z.union([text, z.number()]));
const resources = z.strictObject({ requests: quantities, limits: quantities, claims: objects }).partial();
const image = z.strictObject({
  registry: text,
  repository: text.min(1),
  tag: text,
  digest: text.regex(/^(sha256:[0-9a-f]{64})?$/),
  pullPolicy,
});

const names = {
  nameOverride: text,
  fullnameOverride: text,
  commonLabels: textMap,
  /** Helm hands it to every chart. */
  global: object,
};

const controller = {
  image: image.partial(),
  imagePullSecrets: objects,
  agent: z.strictObject({ image: image.partial(), logLevel, resources }).partial(),
  mesh: meshSchema,
  jwks: z.strictObject({ refresh: durationSchema, blockedCidrs: z.array(text), caConfigMap: text }).partial(),
  replicaCount: z.int().min(0),
  logLevel,
  workers: z.int().min(1).max(64),
  leaderElection: z.strictObject({ enabled: z.boolean() }).partial(),
  kubeApi: z.strictObject({ qps: z.number().positive(), burst: z.int().min(1) }).partial(),
  extraArgs: z.array(text),
  extraEnv: objects,
  extraVolumes: objects,
  extraVolumeMounts: objects,
};

const webhook = z
  .strictObject({
    port,
    tlsMinVersion: z.enum(['TLSv1.2', 'TLSv1.3']),
    excludedNamespaces: z.array(text),
    injection: z.strictObject({ enabled: z.boolean(), failurePolicy, timeoutSeconds, matchConditions: objects }).partial(),
    validation: z
      .strictObject({ enabled: z.boolean(), failurePolicy, timeoutSeconds, namespaceSelector: object, matchConditions: objects })
      .partial(),
  })
  .partial();

const access = {
  serviceAccount: z.strictObject({ create: z.boolean(), name: text, annotations: textMap }).partial(),
  rbac: z.strictObject({ create: z.boolean(), aggregate: z.boolean() }).partial(),
};

const pod = {
  podAnnotations: textMap,
  podLabels: textMap,
  deploymentAnnotations: textMap,
  resources,
  podSecurityContext: object,
  containerSecurityContext: object,
  livenessProbe: object,
  readinessProbe: object,
  updateStrategy: object,
  revisionHistoryLimit: z.int().min(0),
  terminationGracePeriodSeconds: z.int().min(0),
  priorityClassName: text,
  nodeSelector: textMap,
  affinity: object,
  tolerations: objects,
  topologySpreadConstraints: objects,
  hostNetwork: z.boolean(),
  dnsPolicy: text,
};

const around = {
  service: z.strictObject({ annotations: textMap, metricsPort: port }).partial(),
  podDisruptionBudget: z.strictObject({ enabled: z.boolean(), minAvailable: z.union([z.int().min(0), text]) }).partial(),
  networkPolicy: z.strictObject({ enabled: z.boolean(), ingressFrom: objects, egress: objects }).partial(),
  serviceMonitor: z.strictObject({ enabled: z.boolean(), interval: durationSchema, labels: textMap }).partial(),
};

/** JSON Schema (draft 7) of the chart's values; every value may be absent. */
export function chartValuesSchema(): object {
  const schema = z.strictObject({ ...names, ...controller, webhook, ...access, ...pod, ...around }).partial();
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
}
