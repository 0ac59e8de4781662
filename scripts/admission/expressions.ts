/*
 * CEL expressions of the admission policies, from the constants that injection and controller use. They run in the API server,
 * on every request that matches, and must not fail on a valid object: a failed expression refuses the request.
 */
import {
  AGENT_CONTAINER,
  AGENT_ENV,
  AGENT_USER,
  AGENT_USERS,
  AGENT_VOLUME_NAMES,
  AGENT_VOLUMES,
  FEED_AUDIENCE,
  FOREIGN_ENV,
  FOREIGN_MOUNTS,
  MAX_REDIRECT_ARGS,
  REDIRECT_CONTAINER,
  REDIRECT_ENV,
  TLS_DIRECTORY,
  WAIT_ENV,
} from '../../src/api/kube/agent-contract.ts';
import { DANGEROUS_CAPABILITIES } from '../../src/api/kube/container-privileges.ts';
import { AGENT_ANNOTATION, BUNDLE_LABEL, BUNDLE_NAME_PREFIX, BUNDLE_TOUCH_ANNOTATION } from '../../src/api/kube/names.ts';
import { OWN_ANNOTATION_PREFIX } from '../../src/api/kube/slim.ts';

/** A named part of an admission policy: a variable or a match condition. */
export interface Named {
  readonly name: string;
  readonly expression: string;
}

/** A rule of an admission policy. */
export interface Validation {
  readonly expression: string;
  readonly message: string;
}

const OURS = list([AGENT_CONTAINER, REDIRECT_CONTAINER]);
const VOLUMES = list(AGENT_VOLUME_NAMES);
/** Earlier versions name bundles without the reserved prefix. */
const LEGACY_NAME_PREFIX = 'sallyport-';

/** A list of strings as a CEL literal. */
function list(items: readonly (string | number)[]): string {
  return JSON.stringify(items);
}

/** True for the controller. Helm renders the name. */
const IS_CONTROLLER = 'request.userInfo.username == "{{ include "sallyport.user" . }}"';

/** Spares the users whom no policy restricts. */
export const NOT_BREAK_GLASS: Named = {
  name: 'not-break-glass',
  expression: 'request.userInfo.?groups.orValue([]).all(g, !(g in {{ toJson .Values.admission.breakGlassGroups }}))',
};

/** Selects requests of the controller. */
export const BY_CONTROLLER: Named = { name: 'controller', expression: IS_CONTROLLER };

/** Spares the controller, which has a separate policy. */
export const NOT_CONTROLLER: Named = { name: 'not-controller', expression: `!(${IS_CONTROLLER})` };

/** The object of any operation; a deletion has only the old one. */
const EITHER = '[object, oldObject].filter(o, o != null)';

/** Selects ConfigMaps that have the name or the label of a bundle, before or after the request. */
export const IS_BUNDLE: Named = {
  name: 'bundle',
  expression: `${EITHER}.exists(o, o.metadata.?name.orValue("").startsWith("${BUNDLE_NAME_PREFIX}")
  || o.metadata.?generateName.orValue("").startsWith("${BUNDLE_NAME_PREFIX}")
  || "${BUNDLE_LABEL}" in o.metadata.?labels.orValue({}))`,
};

/** Kubernetes' own controllers delete bundles with their namespace or owner, and remove owners and finalizers on the way. */
export const BY_GARBAGE_COLLECTOR: Validation = {
  expression: `request.userInfo.username in {{ toJson .Values.admission.garbageCollectors }} && (request.operation == "DELETE"
  || request.operation == "UPDATE" && object.?data == oldObject.?data && object.?binaryData == oldObject.?binaryData
  && object.metadata.?labels == oldObject.metadata.?labels && object.metadata.?annotations == oldObject.metadata.?annotations)`,
  message: `names that start with ${BUNDLE_NAME_PREFIX} and the label ${BUNDLE_LABEL} are reserved for the bundles of Sallyport, which only its controller writes`,
};

/** What the controller's ServiceAccount may do with ConfigMaps: its own names, and bundles that earlier versions named otherwise. */
export const CONTROLLER_CONFIG_MAPS: Validation = {
  expression: `${EITHER}.all(o, o.metadata.name.startsWith("${BUNDLE_NAME_PREFIX}")
  || o.metadata.name.startsWith("${LEGACY_NAME_PREFIX}") && "${BUNDLE_LABEL}" in (oldObject == null ? object : oldObject).metadata.?labels.orValue({}))`,
  message: `the controller of Sallyport writes only ConfigMaps whose names start with ${BUNDLE_NAME_PREFIX}, or with ${LEGACY_NAME_PREFIX} if they have the label ${BUNDLE_LABEL}`,
};

/** What it may do with pods: set one annotation. `managedFields` is not compared, because the API server writes it. */
export const CONTROLLER_PODS: Validation = {
  expression: `request.operation == "UPDATE"
  && object.spec == oldObject.spec && object.metadata.?labels == oldObject.metadata.?labels
  && object.metadata.?finalizers == oldObject.metadata.?finalizers
  && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences
  && object.metadata.?annotations.orValue({}).all(k, k == "${BUNDLE_TOUCH_ANNOTATION}"
    || k in oldObject.metadata.?annotations.orValue({}) && object.metadata.annotations[k] == oldObject.metadata.annotations[k])
  && oldObject.metadata.?annotations.orValue({}).all(k, k in object.metadata.?annotations.orValue({}))`,
  message: `the controller of Sallyport changes only the annotation ${BUNDLE_TOUCH_ANNOTATION} of pods`,
};

/** Which Secrets it may write. RBAC cannot limit the name of an object that is created. */
export const CONTROLLER_SECRETS: Validation = {
  expression: `${EITHER}.all(o, o.metadata.namespace == "{{ .Release.Namespace }}"
  && o.metadata.name in ["sallyport-signing-keys", "{{ include "sallyport.fullname" . }}-webhook"])`,
  message: 'the controller of Sallyport writes only its own Secrets',
};

/** What it may say in events: only what it reports itself. */
export const CONTROLLER_EVENTS: Validation = {
  expression: 'object.?reportingController.orValue("") == "sallyport.dev/controller"',
  message: 'the controller of Sallyport writes only its own events',
};

/** Selects pods with one of our containers or our annotation, before or after the request. */
export const IS_OURS: Named = {
  name: 'pod-of-sallyport',
  expression: `${EITHER}.exists(o, o.spec.?initContainers.orValue([]).exists(c, c.name in ${OURS})
  || o.spec.?containers.orValue([]).exists(c, c.name in ${OURS})
  || "${AGENT_ANNOTATION}" in o.metadata.?annotations.orValue({}))`,
};

/** Variables of the policy of pods. */
export const POD_VARIABLES: readonly Named[] = [
  { name: 'initContainers', expression: 'object.spec.?initContainers.orValue([])' },
  { name: 'ephemeral', expression: 'object.spec.?ephemeralContainers.orValue([])' },
  { name: 'ours', expression: `variables.initContainers.filter(c, c.name in ${OURS})` },
  { name: 'agents', expression: `variables.initContainers.filter(c, c.name == "${AGENT_CONTAINER}")` },
  { name: 'others', expression: `variables.initContainers.filter(c, !(c.name in ${OURS})) + object.spec.?containers.orValue([])` },
  { name: 'podUser', expression: 'object.spec.?securityContext.?runAsUser.orValue(-1)' },
  {
    name: 'oldOurs',
    expression: `oldObject == null ? [] : oldObject.spec.?initContainers.orValue([]).filter(c, c.name in ${OURS})`,
  },
  {
    name: 'oldEphemeral',
    expression: 'oldObject == null ? [] : oldObject.spec.?ephemeralContainers.orValue([]).map(c, c.name)',
  },
  ...['annotations', 'labels'].flatMap((field) => [
    { name: field, expression: `object.metadata.?${field}.orValue({})` },
    { name: `old_${field}`, expression: `oldObject == null ? {} : oldObject.metadata.?${field}.orValue({})` },
  ]),
];

const MOUNTS_OURS = `c.?volumeMounts.orValue([]).exists(m, m.name in ${VOLUMES})`;
const IS_PRIVILEGED = `c.?securityContext.?privileged.orValue(false)
  || c.?securityContext.?capabilities.?add.orValue([]).exists(x, x.upperAscii().replace("CAP_", "") in ${list(DANGEROUS_CAPABILITIES)})
  || c.?securityContext.?runAsUser.orValue(variables.podUser) == ${AGENT_USER}`;

/** What a new pod with one of our containers or our annotation must be like. */
export const NEW_PODS: readonly Validation[] = [
  {
    expression: `!object.spec.?containers.orValue([]).exists(c, c.name in ${OURS}) && size(variables.agents) == 1 && size(variables.ours) == 2`,
    message: `the annotation ${AGENT_ANNOTATION} and the names ${AGENT_CONTAINER} and ${REDIRECT_CONTAINER} are reserved for the injection of Sallyport, which adds both init containers`,
  },
  {
    expression: `variables.ours.all(c, {{ include "sallyport.agentRepositories" . }}.exists(r,
  c.image == r || c.image.startsWith(r + ":") || c.image.startsWith(r + "@")))`,
    message: 'the image of the agent is not the one that this installation injects; see the value agent.repositories',
  },
  {
    expression: `variables.ours.all(c, size(c.?command.orValue([])) == 0 && size(c.?envFrom.orValue([])) == 0 && !has(c.lifecycle)
  && !has(c.workingDir) && !has(c.?livenessProbe.orValue({}).exec) && !has(c.?readinessProbe.orValue({}).exec)
  && !has(c.?startupProbe.orValue({}).exec))
  && variables.ours.all(c, size(c.?args.orValue([])) <= (c.name == "${AGENT_CONTAINER}" ? 0 : ${MAX_REDIRECT_ARGS}))`,
    message: 'command, args, envFrom, lifecycle, workingDir and probes of the agent cannot be changed',
  },
  {
    expression: `variables.ours.all(c, c.?env.orValue([]).all(e, e.name in (c.name == "${AGENT_CONTAINER}"
  ? ${list([...Object.values(AGENT_ENV), ...FOREIGN_ENV])} : ${list([REDIRECT_ENV, ...Object.values(WAIT_ENV), ...FOREIGN_ENV])})))`,
    message: 'the agent has environment variables that injection does not set',
  },
  {
    expression: `variables.agents.all(c, c.?securityContext.?runAsUser.orValue(-1) in ${list(AGENT_USERS)} && !c.?securityContext.?privileged.orValue(false)
  && size(c.?securityContext.?capabilities.?add.orValue([])) == 0)`,
    message: 'the security context of the agent cannot be changed',
  },
  {
    expression: `object.spec.?volumes.orValue([]).filter(v, v.name in ${VOLUMES}).all(v, v.name == "${AGENT_VOLUMES.bundle}"
  ? v.?configMap.?name.orValue("").startsWith("${LEGACY_NAME_PREFIX}") || size(v.?projected.?sources.orValue([])) > 0
    && v.projected.sources.all(s, s.?configMap.?name.orValue("").startsWith("${BUNDLE_NAME_PREFIX}"))
  : v.name == "${AGENT_VOLUMES.feed}" ? size(v.?projected.?sources.orValue([])) == 1
    && v.projected.sources.all(s, s.?serviceAccountToken.?audience.orValue("") == "${FEED_AUDIENCE}")
  : v.name == "${AGENT_VOLUMES.tls}" ? has(v.csi) || has(v.secret) || has(v.projected)
  : v.name == "${AGENT_VOLUMES.podInfo}" ? has(v.downwardAPI) : has(v.emptyDir))`,
    message: 'the volumes of the agent cannot be changed',
  },
  {
    expression: `variables.ours.all(c, c.?volumeMounts.orValue([]).all(m, !has(m.subPath) && !has(m.subPathExpr) && (m.name in ${VOLUMES}
  || c.name == "${AGENT_CONTAINER}" && m.mountPath == "${TLS_DIRECTORY}" && m.?readOnly.orValue(false)
  || !m.mountPath.contains("..") && ${list(FOREIGN_MOUNTS)}.exists(p, m.mountPath.startsWith(p)))))`,
    message: 'nothing may be mounted into the agent',
  },
  {
    expression: `variables.others.all(c, !(${MOUNTS_OURS}))`,
    message: 'only the agent may mount the volumes of the agent',
  },
  {
    expression: `{{ eq .Values.agent.privilegedContainers "report" }} || !object.spec.?shareProcessNamespace.orValue(false)
  && !object.spec.?hostPID.orValue(false) && variables.others.all(c, !(${IS_PRIVILEGED}))`,
    message: `a container of a pod with an agent may not share processes, be privileged, run as user ${AGENT_USER} or have one of the capabilities ${DANGEROUS_CAPABILITIES.join(', ')}`,
  },
];

/** What may not change in an existing pod. Other faults of it do not matter: finalizers must come off in any case. */
export const CHANGED_PODS: readonly Validation[] = [
  ...['annotations', 'labels'].map((field) => ({
    expression: `variables.${field}.all(k, !k.startsWith("${OWN_ANNOTATION_PREFIX}")
  || k in variables.old_${field} && variables.old_${field}[k] == variables.${field}[k])
  && variables.old_${field}.all(k, !k.startsWith("${OWN_ANNOTATION_PREFIX}") || k in variables.${field})`,
    message: `${field} with the prefix ${OWN_ANNOTATION_PREFIX} of a pod with an agent cannot be changed`,
  })),
  {
    expression: 'variables.oldOurs.all(o, variables.ours.exists(c, c.name == o.name && c.image == o.image))',
    message: 'the image of the agent cannot be changed in a running pod',
  },
  {
    expression:
      'variables.oldOurs.all(o, variables.ours.exists(c, c.name == o.name && c.?resources.orValue({}) == o.?resources.orValue({})))',
    message: 'the resources of the agent cannot be changed in a running pod',
  },
  {
    expression: `variables.ephemeral.filter(c, !(c.name in variables.oldEphemeral)).all(c,
  !(c.?targetContainerName.orValue("") in ${OURS}) && !(${MOUNTS_OURS}) && !(${IS_PRIVILEGED}))`,
    message: `an ephemeral container of a pod with an agent may not target the agent, mount its volumes, be privileged, run as user ${AGENT_USER} or have one of the capabilities ${DANGEROUS_CAPABILITIES.join(', ')}`,
  },
];

/** What may not be connected to. The API server requires the name of an init container, so that no name is not ours. */
export const CONNECTIONS: Validation = {
  expression: `!(object.?container.orValue("") in ${OURS})`,
  message: 'exec and attach into the containers of Sallyport are refused; read their logs and metrics instead',
};
