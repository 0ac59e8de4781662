/*
 * Injects an agent into one Pod or pod template: agent and redirect containers, volumes and rewritten probes. An existing agent
 * is replaced, so that a second injection changes nothing, unless another webhook has added containers since.
 */
import { AGENT_CONTAINER, AGENT_ENV, type AppProbes, type InjectionStatus, REDIRECT_CONTAINER } from '../api/kube/agent-contract.ts';
import { AGENT_ANNOTATION, INJECTION_LABEL, REWRITE_PROBES_ANNOTATION } from '../api/kube/names.ts';
import { type AgentObstacle, agentObstacleOf } from '../api/kube/pod-traits.ts';
import { bundleName } from '../api/kube/workload.ts';
import type { Finding } from '../errors.ts';
import { AGENT_VOLUMES, agentContainer, agentVolumes, redirectContainer } from './agent-containers.ts';
import { type Capture, planCapture } from './capture.ts';
import { restoreProbes, rewriteProbes } from './probes.ts';
import { isRaw, isSame, type Raw, rawListOf, rawOf, stringOf, without } from './raw-json.ts';
import type { ServicePort } from './services.ts';
import type { InjectionSettings } from './settings.ts';
import { findUnreachable } from './template-findings.ts';

/** Input of the injection apart from the pod. */
export interface InjectionContext {
  /** Name that the controller computes once the pod exists: see `workloadNameOf` and `workloadNameOfOwner`. */
  readonly workloadName: string;
  readonly settings: InjectionSettings;
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

const ISTIO_REWRITE_ANNOTATION = 'sidecar.istio.io/rewriteAppHTTPProbers';
const AGENT_CONTAINERS: readonly string[] = [REDIRECT_CONTAINER, AGENT_CONTAINER];
const AGENT_VOLUME_NAMES: readonly string[] = Object.values(AGENT_VOLUMES);

/** Injects an agent, or reports why not. @param input a Pod or pod template with `metadata` and `spec`; not modified */
export function injectPodTemplate(input: Raw, context: InjectionContext): InjectionResult {
  const metadata = rawOf(input['metadata']);
  const unchanged = (...findings: readonly Finding[]): InjectionResult => ({ pod: input, changed: false, findings });
  if (rawOf(metadata['labels'])[INJECTION_LABEL] === 'disabled') return unchanged();
  const obstacle = agentObstacleOf(rawOf(metadata['annotations']), rawOf(input['spec']));
  if (obstacle !== undefined) return unchanged(...describeObstacle(obstacle));

  const bare = removeAgent(input);
  const { capture, findings } = inspectTemplate(bare, context.services ?? []);
  if (findings.some((finding) => finding.severity === 'error')) return unchanged(...findings);
  const pod = addAgent(bare, capture, context);
  return isSame(pod, input) ? unchanged(...findings) : { pod, changed: true, findings };
}

/** What `check` reports about a pod template without injecting an agent: errors and warnings of the injection. */
export function findTemplateProblems(input: Raw, services: readonly ServicePort[]): readonly Finding[] {
  const metadata = rawOf(input['metadata']);
  if (rawOf(metadata['labels'])[INJECTION_LABEL] === 'disabled') return [];
  const obstacle = agentObstacleOf(rawOf(metadata['annotations']), rawOf(input['spec']));
  return obstacle === undefined ? inspectTemplate(removeAgent(input), services).findings : describeObstacle(obstacle);
}

function inspectTemplate(
  bare: Raw,
  services: readonly ServicePort[],
): { readonly capture: Capture; readonly findings: readonly Finding[] } {
  const spec = rawOf(bare['spec']);
  const annotations = rawOf(rawOf(bare['metadata'])['annotations']);
  const containers = [...rawListOf(spec['containers']), ...sidecarsOf(spec)];
  const capture = planCapture(containers, annotations, services);
  const findings = [...capture.findings, ...nameConflictsOf(spec)];
  // What would be unreachable depends on the errors.
  if (findings.some(({ severity }) => severity === 'error')) return { capture, findings };
  return { capture, findings: [...findings, ...findUnreachable({ annotations, spec, containers, capture, services })] };
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

function addAgent(bare: Raw, capture: Capture, { workloadName, settings }: InjectionContext): Raw {
  const spec = rawOf(bare['spec']);
  const metadata = rawOf(bare['metadata']);
  const annotations = rawOf(metadata['annotations']);
  const initContainers = rawListOf(spec['initContainers']);
  const containers = rawListOf(spec['containers']);
  const rewrite = wantsRewrite(annotations);
  const rewrittenInit = rewrite ? rewriteProbes(initContainers) : { containers: initContainers, probes: {} };
  const rewrittenApp = rewrite ? rewriteProbes(containers) : { containers, probes: {} };
  const plan = { settings, workloadName, capture, probes: { ...rewrittenInit.probes, ...rewrittenApp.probes } };
  const status: InjectionStatus = {
    version: settings.version,
    workload: workloadName,
    bundle: bundleName(workloadName),
    ports: capture.captured.map(({ port }) => port),
    excludedPorts: capture.excluded,
  };
  return {
    ...bare,
    metadata: { ...metadata, annotations: { ...annotations, [AGENT_ANNOTATION]: JSON.stringify(status) } },
    spec: {
      ...spec,
      initContainers: [redirectContainer(plan), agentContainer(plan), ...rewrittenInit.containers],
      containers: rewrittenApp.containers,
      volumes: [...rawListOf(spec['volumes']), ...agentVolumes(workloadName)],
    },
  };
}

/** Pods that cannot have an agent are unchanged; the controller reports them as unprotected. A static pod is changed at its node only. */
function describeObstacle(obstacle: AgentObstacle): readonly Finding[] {
  if (obstacle === 'windows') return [notInjected('spec.os.name', 'there is no agent for Windows')];
  if (obstacle === 'static-pod') return [];
  return [notInjected('spec.hostNetwork', 'the pod uses the host network, where connections cannot be redirected to an agent')];
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
