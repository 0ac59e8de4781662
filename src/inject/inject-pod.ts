/*
 * Injects an agent into one Pod or pod template: agent and redirect containers, volumes and rewritten probes. An existing agent
 * is replaced, so that a second injection changes nothing, unless another webhook has added containers since.
 */
import {
  AGENT_CONTAINER,
  AGENT_ENV,
  AGENT_VOLUME_NAMES,
  type AppProbes,
  type InjectionStatus,
  REDIRECT_CONTAINER,
} from '../api/kube/agent-contract.ts';
import { privilegesOf } from '../api/kube/container-privileges.ts';
import type { WorkloadId } from '../api/kube/keys.ts';
import {
  AGENT_ANNOTATION,
  BUNDLE_TOUCH_ANNOTATION,
  EXCLUDE_PORTS_ANNOTATION,
  INCLUDE_PORTS_ANNOTATION,
  INJECTION_LABEL,
  ISTIO_INCLUDE_PORTS_ANNOTATION,
  PROFILING_PORT_ANNOTATION,
  REWRITE_PROBES_ANNOTATION,
  TLS_VOLUME_ANNOTATION,
} from '../api/kube/names.ts';
import { type AgentObstacle, agentObstacleOf, OBSTACLES } from '../api/kube/pod-traits.ts';
import { slotName } from '../api/kube/workload.ts';
import type { Finding } from '../errors.ts';
import { agentContainer, agentVolumes, redirectContainer } from './agent-containers.ts';
import { type Capture, declaredPorts, ISTIO_EXCLUDE_ANNOTATION, planCapture } from './capture.ts';
import { findPodSecurity } from './pod-security.ts';
import { settingsOfPod } from './pod-settings.ts';
import { restoreProbes, rewriteProbes } from './probes.ts';
import { isRaw, isSame, type Raw, rawListOf, rawOf, stringOf, without } from './raw-json.ts';
import type { ServicePort } from './services.ts';
import type { InjectionSettings } from './settings.ts';
import { findHooks, findIstio, istioTraitOf } from './template-findings.ts';
import { findUnknownAnnotations } from './unknown-annotations.ts';

/** Input of the injection apart from the pod. */
export interface InjectionContext {
  /** Kind and name that the controller computes once the pod exists: see `workloadIdOf` and `workloadIdOfOwner`. */
  readonly workload: WorkloadId;
  readonly settings: InjectionSettings;
  /**
   * Policies of the root namespace that select the pod, as `namespace/name`: its ports may then not be excluded, unless the
   * bounds allow it. Absent: not known, and ports may be excluded.
   */
  readonly rootPolicies?: readonly string[];
  /** Labels of the namespace; absent: not known. */
  readonly namespaceLabels?: Raw;
  /** Ports of the Services that lead to the pod, as far as they are known; absent: none. */
  readonly services?: readonly ServicePort[];
}

/** Result of {@link injectPodTemplate}. */
export interface InjectionResult {
  /** The pod with an agent; the input itself if nothing changed. */
  readonly pod: Raw;
  readonly changed: boolean;
  /** Findings with paths from the pod's root. With an `error`, the pod is unchanged and must not be admitted. */
  readonly findings: readonly Finding[];
}

/** Most warnings that are written down for an event. */
const MAX_RECORDED = 20;

const ISTIO_REWRITE_ANNOTATION = 'sidecar.istio.io/rewriteAppHTTPProbers';
const AGENT_CONTAINERS: readonly string[] = [REDIRECT_CONTAINER, AGENT_CONTAINER];

/** Injects an agent, or reports why not. @param input a Pod or pod template with `metadata` and `spec`; not modified */
export function injectPodTemplate(input: Raw, context: InjectionContext): InjectionResult {
  const metadata = rawOf(input['metadata']);
  const unchanged = (...findings: readonly Finding[]): InjectionResult => ({ pod: input, changed: false, findings });
  if (labelsOf(input)[INJECTION_LABEL] === 'disabled') return unchanged();
  const obstacle = agentObstacleOf(rawOf(metadata['annotations']), rawOf(input['spec']));
  if (obstacle !== undefined) return unchanged(...describeObstacle(obstacle));

  const bare = removeAgent(input);
  const istio =
    context.settings.istioPods === 'skip' ? istioTraitOf(labelsOf(bare), rawOf(bare['spec']), context.namespaceLabels) : undefined;
  // An agent is there already when Istio's webhook comes after ours, or when the template has one.
  if (istio !== undefined)
    return { pod: bare, changed: bare !== input, findings: [notInjected(istio.path, `${istio.what}, which is to enforce`)] };
  const own = settingsOfPod(context.settings, rawOf(rawOf(bare['metadata'])['annotations']));
  const { capture, appPorts, findings: found, clamped } = inspectTemplate(bare, context);
  const findings = [...own.findings, ...missingVolume(own.settings, rawOf(bare['spec'])), ...takenPort(own.settings, appPorts), ...found];
  if (findings.some((finding) => finding.severity === 'error')) return unchanged(...findings);
  const plan = {
    settings: own.settings,
    workload: context.workload,
    capture,
    clamped: [...own.clamped, ...clamped],
    warnings: warningsOf(findings, capture.findings),
  };
  const pod = addAgent(bare, plan);
  return isSame(pod, input) ? unchanged(...findings) : { pod, changed: true, findings };
}

/** What `check` reports about a pod template without injecting an agent: errors and warnings of the injection. */
export function findTemplateProblems(input: Raw, services: readonly ServicePort[]): readonly Finding[] {
  const metadata = rawOf(input['metadata']);
  if (labelsOf(input)[INJECTION_LABEL] === 'disabled') return [];
  const obstacle = agentObstacleOf(rawOf(metadata['annotations']), rawOf(input['spec']));
  if (obstacle !== undefined) return describeObstacle(obstacle);
  const bare = removeAgent(input);
  const settings = { image: '', version: '', trust: { anchor: '', floor: 0 }, istioPods: 'inject' } as const;
  const own = settingsOfPod(settings, rawOf(rawOf(bare['metadata'])['annotations']));
  // Which values are clamped depends on the settings of the installation.
  const { appPorts, findings } = inspectTemplate(bare, { settings, services });
  return [...own.findings.filter(({ severity }) => severity === 'error'), ...takenPort(own.settings, appPorts), ...findings];
}

/** An error when the pod has no volume of the name that its annotation gives. */
function missingVolume({ tls }: InjectionSettings, spec: Raw): readonly Finding[] {
  const name = tls?.podVolume;
  if (name === undefined || rawListOf(spec['volumes']).some((volume) => volume['name'] === name)) return [];
  const path = `metadata.annotations[${TLS_VOLUME_ANNOTATION}]`;
  return [{ code: 'SP_ANNOTATION', severity: 'error', path, message: `the pod has no volume "${name}"` }];
}

/** An error when the application could not listen on its port, because its agent, which starts first, serves profiles there. */
function takenPort({ profilingPort }: InjectionSettings, appPorts: readonly number[]): readonly Finding[] {
  if (profilingPort === undefined || !appPorts.includes(profilingPort)) return [];
  const path = `metadata.annotations[${PROFILING_PORT_ANNOTATION}]`;
  return [{ code: 'SP_ANNOTATION', severity: 'error', path, message: `"${profilingPort}" is not free: the application uses it` }];
}

interface Inspection {
  readonly capture: Capture;
  /** Ports of the application, as far as they are known. */
  readonly appPorts: readonly number[];
  readonly findings: readonly Finding[];
  readonly clamped: readonly string[];
}

function inspectTemplate(bare: Raw, context: Omit<InjectionContext, 'workload'>): Inspection {
  const spec = rawOf(bare['spec']);
  const { annotations, clamped } = withoutForbiddenExclusions(rawOf(rawOf(bare['metadata'])['annotations']), context);
  const containers = [...rawListOf(spec['containers']), ...sidecarsOf(spec)];
  const { services = [] } = context;
  const capture = planCapture(containers, annotations, services);
  const appPorts = [...declaredPorts(containers), ...capture.captured, ...capture.excluded];
  const findings = [
    ...capture.findings,
    ...nameConflictsOf(spec),
    ...privilegeFindings(spec, context.settings),
    ...findPodSecurity(context.namespaceLabels, spec, context.settings),
    ...findIstio(istioTraitOf(labelsOf(bare), spec, context.namespaceLabels), context.settings.istioPods ?? 'refuse'),
    ...findUnknownAnnotations(annotations),
    ...clamped.map(clampedExclusion),
  ];
  // What would be unreachable depends on the errors.
  if (findings.some(({ severity }) => severity === 'error')) return { capture, appPorts, findings, clamped };
  const hooks = findHooks({ containers, capture, rewrites: wantsRewrite(annotations) });
  return { capture, appPorts, findings: [...findings, ...hooks], clamped };
}

/** The pod before injection; the input itself if it has no agent. Named probe ports come back as numbers. */
export function removeAgent(input: Raw): Raw {
  const spec = rawOf(input['spec']);
  const initContainers = rawListOf(spec['initContainers']);
  const agent = initContainers.find((container) => container['name'] === AGENT_CONTAINER);
  if (agent === undefined) return input;
  const probes = recordedProbes(agent);
  const kept = initContainers.filter((container) => !AGENT_CONTAINERS.includes(stringOf(container['name']) ?? ''));
  const volumes = rawListOf(spec['volumes']).filter((volume) => !AGENT_VOLUME_NAMES.includes(stringOf(volume['name']) ?? ''));
  const metadata = rawOf(input['metadata']);
  const annotations = without(rawOf(metadata['annotations']), AGENT_ANNOTATION);
  return {
    ...input,
    metadata: withField(metadata, 'annotations', Object.keys(annotations).length === 0 ? undefined : annotations),
    spec: withFields(spec, {
      initContainers: kept.length === 0 ? undefined : restoreProbes(kept, probes),
      containers: restoreProbes(rawListOf(spec['containers']), probes),
      volumes: volumes.length === 0 ? undefined : volumes,
    }),
  };
}

/** Moves excluded ports to the captured ones when a policy of the root namespace selects the pod and the bounds do not allow it. */
function withoutForbiddenExclusions(
  annotations: Raw,
  { settings, rootPolicies = [] }: Omit<InjectionContext, 'workload'>,
): { readonly annotations: Raw; readonly clamped: readonly string[] } {
  const excluding = [EXCLUDE_PORTS_ANNOTATION, ISTIO_EXCLUDE_ANNOTATION, ISTIO_INCLUDE_PORTS_ANNOTATION].filter(
    (name) => !['', '*'].includes((stringOf(annotations[name]) ?? '').trim()),
  );
  if (excluding.length === 0 || rootPolicies.length === 0 || settings.bounds?.excludePorts === 'all') return { annotations, clamped: [] };
  const [policy = ''] = rootPolicies;
  const ports = [INCLUDE_PORTS_ANNOTATION, ...excluding].map((name) => stringOf(annotations[name]) ?? '').filter((text) => text !== '');
  return {
    annotations: { ...without(annotations, ...excluding), [INCLUDE_PORTS_ANNOTATION]: ports.join(',') },
    clamped: excluding.map((name) => `${name}: the ports pass through the agent nevertheless, because policy ${policy} selects the pod`),
  };
}

function clampedExclusion(text: string): Finding {
  const [name = '', message = ''] = text.split(/: (.*)/);
  return { code: 'SP_ANNOTATION', severity: 'warning', path: `metadata.annotations[${name}]`, message };
}

interface PodPlan {
  readonly settings: InjectionSettings;
  readonly workload: WorkloadId;
  readonly capture: Capture;
  readonly clamped: readonly string[];
  readonly warnings: readonly string[];
}

/** Those about ports that bypass the agent, and those that are not about annotations: `clamped` has the others. */
function warningsOf(findings: readonly Finding[], ofCapture: readonly Finding[]): readonly string[] {
  const isOther = (finding: Finding): boolean => finding.code !== 'SP_ANNOTATION' || ofCapture.includes(finding);
  const warnings = findings.filter((finding) => finding.severity === 'warning' && isOther(finding));
  return warnings.slice(0, MAX_RECORDED).map(({ path, message }) => `${path}: ${message}`);
}

function addAgent(bare: Raw, { settings, workload, capture, clamped, warnings }: PodPlan): Raw {
  const spec = rawOf(bare['spec']);
  const metadata = rawOf(bare['metadata']);
  const annotations = rawOf(metadata['annotations']);
  const initContainers = rawListOf(spec['initContainers']);
  const containers = rawListOf(spec['containers']);
  const rewrite = wantsRewrite(annotations);
  const grace = spec['terminationGracePeriodSeconds'];
  const rewrittenInit = rewrite ? rewriteProbes(initContainers, grace) : { containers: initContainers, probes: {} };
  const rewrittenApp = rewrite ? rewriteProbes(containers, grace) : { containers, probes: {} };
  const plan = { settings, workload, capture, probes: { ...rewrittenInit.probes, ...rewrittenApp.probes } };
  const status: InjectionStatus = {
    version: settings.version,
    kind: workload.kind,
    workload: workload.name,
    bundle: slotName(workload, 0),
    ports: capture.captured,
    excludedPorts: capture.excluded,
    ...(clamped.length === 0 ? {} : { clamped }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
  return {
    ...bare,
    metadata: {
      ...metadata,
      annotations: { ...without(annotations, BUNDLE_TOUCH_ANNOTATION), [AGENT_ANNOTATION]: JSON.stringify(status) },
    },
    spec: {
      ...spec,
      initContainers: [redirectContainer(plan), agentContainer(plan), ...rewrittenInit.containers],
      containers: rewrittenApp.containers,
      volumes: [...rawListOf(spec['volumes']), ...agentVolumes(workload, settings)],
    },
  };
}

/** Pods that cannot have an agent are unchanged; the controller reports them as unprotected. A static pod is changed at its node only. */
function describeObstacle(obstacle: AgentObstacle): readonly Finding[] {
  if (obstacle === 'static-pod') return [];
  const { path, reason } = OBSTACLES[obstacle];
  return [notInjected(path, reason)];
}

function notInjected(path: string, reason: string): Finding {
  return { code: 'SP_NO_AGENT', severity: 'warning', path, message: `not injected: ${reason}` };
}

/** Errors for the user's containers and volumes that have the name of one that injection adds. */
function nameConflictsOf(spec: Raw): readonly Finding[] {
  const taken: Finding[] = [];
  const check = (field: string, names: readonly string[]): void => {
    for (const entry of rawListOf(spec[field])) {
      const name = stringOf(entry['name']) ?? '';
      if (!names.includes(name)) continue;
      taken.push({
        code: 'SP_MANIFEST',
        severity: 'error',
        path: `spec.${field}[${name}]`,
        message: `the name "${name}" is reserved for injection`,
        hint: 'use another name',
      });
    }
  };
  check('containers', AGENT_CONTAINERS);
  check('initContainers', AGENT_CONTAINERS);
  check('volumes', AGENT_VOLUME_NAMES);
  return taken;
}

/** Containers that could bypass the agent. One that mounts a volume of the agent is never admitted: it could replace bundles. */
function privilegeFindings(spec: Raw, { privilegedContainers = 'report' }: InjectionSettings): readonly Finding[] {
  const mounts = ['initContainers', 'containers'].flatMap((field) =>
    rawListOf(spec[field]).flatMap(({ volumeMounts }) => rawListOf(volumeMounts)),
  );
  const mounted = mounts.some(({ name }) => AGENT_VOLUME_NAMES.includes(stringOf(name) ?? ''));
  const severity = mounted || privilegedContainers === 'refuse' ? 'error' : 'warning';
  return privilegesOf(spec).map((message) => ({
    code: 'SP_PRIVILEGED',
    severity,
    path: 'spec',
    message: `${message}, which bypasses the agent`,
    hint: severity === 'error' ? 'remove it, or run the pod without an agent' : 'remove it',
  }));
}

function labelsOf(pod: Raw): Raw {
  return rawOf(rawOf(pod['metadata'])['labels']);
}

function sidecarsOf(spec: Raw): readonly Raw[] {
  return rawListOf(spec['initContainers']).filter((container) => container['restartPolicy'] === 'Always');
}

function wantsRewrite(annotations: Raw): boolean {
  return annotations[REWRITE_PROBES_ANNOTATION] !== 'false' && annotations[ISTIO_REWRITE_ANNOTATION] !== 'false';
}

function recordedProbes(agent: Raw): AppProbes {
  const text = stringOf(rawListOf(agent['env']).find((entry) => entry['name'] === AGENT_ENV.appProbes)?.['value']);
  if (text === undefined) return {};
  try {
    const probes: unknown = JSON.parse(text);
    return isRaw(probes) ? (probes as AppProbes) : {};
  } catch {
    // Not written by injection: there is nothing to restore.
    return {};
  }
}

function withField(raw: Raw, name: string, value: unknown): Raw {
  return value === undefined ? without(raw, name) : { ...raw, [name]: value };
}

function withFields(raw: Raw, fields: Raw): Raw {
  return Object.entries(fields).reduce((result, [name, value]) => withField(result, name, value), raw);
}
