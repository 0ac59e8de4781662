/*
 * Schemas of the Kubernetes objects that the chart's values contain. They know every field of Kubernetes 1.30 to 1.37, so
 * that a misspelt one is an error of Helm instead of a field that the API server drops.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/
 */
import * as z from 'zod';
import { QUANTITY } from './patterns.ts';

const string = z.string();
const boolean = z.boolean();
const integer = z.int();
const count = z.int().min(0);
const seconds = z.int().min(1);
const portOrName = z.union([z.int().min(1).max(65_535), string.min(1)]);

/** Fields of one object, all optional, each described by its name in Kubernetes. */
function fields<T extends Record<string, z.ZodType>>(kind: string, shape: T): z.ZodObject<{ [K in keyof T]: z.ZodOptional<T[K]> }> {
  const described = Object.fromEntries(
    Object.entries(shape).map(([name, schema]) => [name, schema.meta({ description: `As \`${name}\` of a Kubernetes ${kind}` })]),
  ) as T;
  return z.strictObject(described).partial() as z.ZodObject<{ [K in keyof T]: z.ZodOptional<T[K]> }>;
}

/** The same with fields that must be present. */
function requiring<T extends z.core.$ZodLooseShape>(schema: z.ZodObject<T>, ...names: readonly (keyof T & string)[]): z.ZodObject<T> {
  return schema.required(Object.fromEntries(names.map((name) => [name, true])) as never) as unknown as z.ZodObject<T>;
}

const strings = z.record(string, string);
/** An object whose fields are not listed here; the API server checks it. */
const opaque = z.record(string, z.unknown());
const quantity = z.union([string.regex(QUANTITY), z.number().min(0)]);
/** Compute resources by name. */
export const quantities: z.ZodType = z.record(
  z.enum(['cpu', 'memory', 'ephemeral-storage']).or(string.regex(/^[a-z0-9.-]+\/[a-zA-Z0-9._-]+$/)),
  quantity,
);

/** Resources of a container, without claims. */
export const resources: z.ZodType = fields('ResourceRequirements', { requests: quantities, limits: quantities });

const expression = requiring(
  fields('LabelSelectorRequirement', {
    key: string.min(1),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(string),
  }),
  'key',
  'operator',
);
/** A label selector. */
export const labelSelector: z.ZodType = fields('LabelSelector', { matchLabels: strings, matchExpressions: z.array(expression) });

const seLinux = fields('SELinuxOptions', { level: string, role: string, type: string, user: string });
const seccomp = requiring(
  fields('SeccompProfile', { type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']), localhostProfile: string }),
  'type',
);
const appArmor = requiring(
  fields('AppArmorProfile', { type: z.enum(['RuntimeDefault', 'Unconfined', 'Localhost']), localhostProfile: string }),
  'type',
);
const windows = fields('WindowsSecurityContextOptions', {
  gmsaCredentialSpec: string,
  gmsaCredentialSpecName: string,
  hostProcess: boolean,
  runAsUserName: string,
});
const identity = {
  runAsUser: count,
  runAsGroup: count,
  runAsNonRoot: boolean,
  seLinuxOptions: seLinux,
  seccompProfile: seccomp,
  appArmorProfile: appArmor,
  windowsOptions: windows,
};
/** Security context of a pod. */
export const podSecurityContext: z.ZodType = fields('PodSecurityContext', {
  ...identity,
  fsGroup: count,
  fsGroupChangePolicy: z.enum(['OnRootMismatch', 'Always']),
  seLinuxChangePolicy: z.enum(['MountOption', 'Recursive']),
  supplementalGroups: z.array(count),
  supplementalGroupsPolicy: z.enum(['Merge', 'Strict']),
  sysctls: z.array(requiring(fields('Sysctl', { name: string.min(1), value: string }), 'name', 'value')),
});
/** Security context of a container. */
export const containerSecurityContext: z.ZodType = fields('SecurityContext', {
  ...identity,
  allowPrivilegeEscalation: boolean,
  capabilities: fields('Capabilities', { add: z.array(string), drop: z.array(string) }),
  privileged: boolean,
  procMount: z.enum(['Default', 'Unmasked']),
  readOnlyRootFilesystem: boolean,
});

const nodeExpression = requiring(
  fields('NodeSelectorRequirement', {
    key: string.min(1),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt']),
    values: z.array(string),
  }),
  'key',
  'operator',
);
const nodeTerm = fields('NodeSelectorTerm', { matchExpressions: z.array(nodeExpression), matchFields: z.array(nodeExpression) });
const podTerm = requiring(
  fields('PodAffinityTerm', {
    labelSelector,
    matchLabelKeys: z.array(string),
    mismatchLabelKeys: z.array(string),
    namespaceSelector: labelSelector,
    namespaces: z.array(string),
    topologyKey: string.min(1),
  }),
  'topologyKey',
);
const weight = z.int().min(1).max(100);
const podAffinity = fields('PodAffinity', {
  requiredDuringSchedulingIgnoredDuringExecution: z.array(podTerm),
  preferredDuringSchedulingIgnoredDuringExecution: z.array(
    requiring(fields('WeightedPodAffinityTerm', { weight, podAffinityTerm: podTerm }), 'weight', 'podAffinityTerm'),
  ),
});
/** Affinity of a pod. */
export const affinity: z.ZodType = fields('Affinity', {
  nodeAffinity: fields('NodeAffinity', {
    requiredDuringSchedulingIgnoredDuringExecution: requiring(
      fields('NodeSelector', { nodeSelectorTerms: z.array(nodeTerm) }),
      'nodeSelectorTerms',
    ),
    preferredDuringSchedulingIgnoredDuringExecution: z.array(
      requiring(fields('PreferredSchedulingTerm', { weight, preference: nodeTerm }), 'weight', 'preference'),
    ),
  }),
  podAffinity,
  podAntiAffinity: podAffinity,
});

/** DNS configuration of a pod. */
export const dnsConfig: z.ZodType = fields('PodDNSConfig', {
  nameservers: z.array(string),
  searches: z.array(string),
  options: z.array(fields('PodDNSConfigOption', { name: string.min(1), value: string })),
});

/** Tolerations of a pod. */
export const tolerations: z.ZodType = z.array(
  fields('Toleration', {
    key: string,
    operator: z.enum(['Exists', 'Equal', 'Lt', 'Gt']),
    value: string,
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    tolerationSeconds: integer,
  }),
);

/** Topology spread constraints of a pod. */
export const topologySpreadConstraints: z.ZodType = z.array(
  requiring(
    fields('TopologySpreadConstraint', {
      labelSelector,
      matchLabelKeys: z.array(string),
      maxSkew: seconds,
      minDomains: seconds,
      nodeAffinityPolicy: z.enum(['Honor', 'Ignore']),
      nodeTaintsPolicy: z.enum(['Honor', 'Ignore']),
      topologyKey: string.min(1),
      whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']),
    }),
    'maxSkew',
    'topologyKey',
    'whenUnsatisfiable',
  ),
);

/** A probe without its handler, which the chart sets. */
export const probe: z.ZodType = fields('Probe', {
  initialDelaySeconds: count,
  periodSeconds: seconds,
  timeoutSeconds: seconds,
  successThreshold: seconds,
  failureThreshold: seconds,
  terminationGracePeriodSeconds: seconds,
});

const percentOrCount = z.union([count, string.regex(/^[0-9]{1,3}%$/)]);
/** Update strategy of a Deployment. */
export const deploymentStrategy: z.ZodType = fields('DeploymentStrategy', {
  type: z.enum(['RollingUpdate', 'Recreate']),
  rollingUpdate: fields('RollingUpdateDeployment', { maxSurge: percentOrCount, maxUnavailable: percentOrCount }),
});
/** Update strategy of a DaemonSet. */
export const daemonSetStrategy: z.ZodType = fields('DaemonSetUpdateStrategy', {
  type: z.enum(['RollingUpdate', 'OnDelete']),
  rollingUpdate: fields('RollingUpdateDaemonSet', { maxSurge: percentOrCount, maxUnavailable: percentOrCount }),
});
/** Minimum number of available pods. */
export const minAvailable: z.ZodType = percentOrCount;

const keyOf = (kind: string): z.ZodType =>
  requiring(fields(kind, { name: string.min(1), key: string.min(1), optional: boolean }), 'name', 'key');
/** Names that the chart sets itself, or that are settings of the controller, have a value of the chart. */
const RESERVED_VARIABLES = '^(?:SALLYPORT_|POD_NAME)';
/** Environment variables of a container. */
export const environment: z.ZodType = z.array(
  requiring(
    fields('EnvVar', {
      name: string.regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/).meta({ not: { pattern: RESERVED_VARIABLES } }),
      value: string,
      valueFrom: fields('EnvVarSource', {
        configMapKeyRef: keyOf('ConfigMapKeySelector'),
        secretKeyRef: keyOf('SecretKeySelector'),
        fieldRef: requiring(fields('ObjectFieldSelector', { apiVersion: string, fieldPath: string.min(1) }), 'fieldPath'),
        resourceFieldRef: requiring(
          fields('ResourceFieldSelector', { containerName: string, divisor: quantity, resource: string.min(1) }),
          'resource',
        ),
      }),
    }),
    'name',
  ),
);

const volumeSources = (
  'awsElasticBlockStore azureDisk azureFile cephfs cinder configMap csi downwardAPI emptyDir ephemeral fc flexVolume flocker ' +
  'gcePersistentDisk gitRepo glusterfs hostPath image iscsi nfs persistentVolumeClaim photonPersistentDisk portworxVolume projected ' +
  'quobyte rbd scaleIO secret storageos vsphereVolume'
).split(' ');
/** Volumes of a pod. */
export const volumes: z.ZodType = z.array(
  requiring(
    fields('Volume', { name: string.min(1), ...Object.fromEntries(volumeSources.map((source) => [source, opaque])) } as Record<
      string,
      z.ZodType
    >),
    'name',
  ),
);
/** Volume mounts of a container. */
export const volumeMounts: z.ZodType = z.array(
  requiring(
    fields('VolumeMount', {
      name: string.min(1),
      mountPath: string.min(1),
      mountPropagation: z.enum(['None', 'HostToContainer', 'Bidirectional']),
      readOnly: boolean,
      recursiveReadOnly: z.enum(['Disabled', 'IfPossible', 'Enabled']),
      subPath: string,
      subPathExpr: string,
    }),
    'name',
    'mountPath',
  ),
);
/** Pull secrets of a pod. */
export const pullSecrets: z.ZodType = z.array(requiring(fields('LocalObjectReference', { name: string.min(1) }), 'name'));
/** Match conditions of a webhook. */
export const matchConditions: z.ZodType = z.array(
  requiring(fields('MatchCondition', { name: string.min(1), expression: string.min(1) }), 'name', 'expression'),
);

/** Peers of a network policy. */
export const networkPeers: z.ZodType = z.array(
  fields('NetworkPolicyPeer', {
    ipBlock: requiring(fields('IPBlock', { cidr: string.min(1), except: z.array(string) }), 'cidr'),
    namespaceSelector: labelSelector,
    podSelector: labelSelector,
  }),
);
/** Egress rules of a network policy. */
export const networkEgress: z.ZodType = z.array(
  fields('NetworkPolicyEgressRule', {
    to: networkPeers,
    ports: z.array(
      fields('NetworkPolicyPort', { port: portOrName, endPort: z.int().min(1).max(65_535), protocol: z.enum(['TCP', 'UDP', 'SCTP']) }),
    ),
  }),
);
