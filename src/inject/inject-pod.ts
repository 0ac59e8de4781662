/*
 * An agent into a pod. In: a Pod or pod template as raw JSON, the name of its workload. Out: the same pod with agent,
 * redirect, volumes and rewritten probes; the same object when it should have none. Called by the webhook and by
 * `sallyport inject`. An agent that is already there is replaced, so that injecting twice gives what injecting once gives,
 * and containers that another webhook added since are covered too.
 */
import { AGENT_CONTAINER, AGENT_ENV, type AppProbes, type InjectionStatus, REDIRECT_CONTAINER } from '../api/kube/agent-contract.ts';
import { AGENT_ANNOTATION, INJECTION_LABEL, REWRITE_PROBES_ANNOTATION } from '../api/kube/names.ts';
import { bundleName } from '../api/kube/workload.ts';
import type { Finding } from '../errors.ts';
import { AGENT_VOLUMES, agentContainer, agentVolumes, redirectContainer } from './agent-containers.ts';
import { type Capture, planCapture } from './capture.ts';
import { restoreProbes, rewriteProbes } from './probes.ts';
import { isRaw, isSame, type Raw, rawListOf, rawOf, stringOf, without } from './raw-json.ts';
import type { InjectionSettings } from './settings.ts';

export interface InjectionContext {
  /** As the controller will name it once the pod exists: see `workloadNameOf` and `workloadNameOfOwner`. */
  readonly workloadName: string;
  readonly settings: InjectionSettings;
}

export interface InjectionResult {
  /** The input itself when nothing changed. */
  readonly pod: Raw;
  readonly changed: boolean;
  /** With an `error` among them the pod is unchanged and must not be let in; paths are those of a Pod. */
  readonly findings: readonly Finding[];
}

const ISTIO_REWRITE_ANNOTATION = 'sidecar.istio.io/rewriteAppHTTPProbers';
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const OWN_CONTAINERS: readonly string[] = [REDIRECT_CONTAINER, AGENT_CONTAINER];
const OWN_VOLUMES: readonly string[] = Object.values(AGENT_VOLUMES);

/** Injects, or tells why not. @param input `metadata` and `spec` of a Pod or of a pod template; not changed */
export function injectPodTemplate(input: Raw, context: InjectionContext): InjectionResult {
  const metadata = rawOf(input['metadata']);
  const unchanged = (...findings: readonly Finding[]): InjectionResult => ({ pod: input, changed: false, findings });
  if (rawOf(metadata['labels'])[INJECTION_LABEL] === 'disabled') return unchanged();
  if (rawOf(metadata['annotations'])[MIRROR_ANNOTATION] !== undefined) return unchanged();
  const obstacle = obstacleOf(rawOf(input['spec']));
  if (obstacle !== undefined) return unchanged(obstacle);

  const bare = removeAgent(input);
  const spec = rawOf(bare['spec']);
  const annotations = rawOf(rawOf(bare['metadata'])['annotations']);
  const capture = planCapture([...rawListOf(spec['containers']), ...sidecarsOf(spec)], annotations);
  const findings = [...capture.findings, ...strangersOf(spec)];
  if (findings.some((finding) => finding.severity === 'error')) return unchanged(...findings);
  const pod = addAgent(bare, capture, context);
  return isSame(pod, input) ? unchanged(...findings) : { pod, changed: true, findings };
}

/** The pod as it was before injection; the input itself when it has no agent. Named probe ports come back as numbers. */
export function removeAgent(input: Raw): Raw {
  const spec = rawOf(input['spec']);
  const initContainers = rawListOf(spec['initContainers']);
  const agent = initContainers.find((container) => container['name'] === AGENT_CONTAINER);
  if (agent === undefined) return input;
  const probes = recordedProbes(agent);
  const kept = initContainers.filter((container) => !OWN_CONTAINERS.includes(stringOf(container['name']) ?? ''));
  const volumes = rawListOf(spec['volumes']).filter((volume) => !OWN_VOLUMES.includes(stringOf(volume['name']) ?? ''));
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

/** Pods that cannot be guarded are left alone; the controller reports them as unprotected. */
function obstacleOf(spec: Raw): Finding | undefined {
  if (spec['hostNetwork'] === true) {
    return unguarded('spec.hostNetwork', 'the pod uses the network of its node, whose connections cannot be redirected to an agent');
  }
  if (rawOf(spec['os'])['name'] === 'windows') return unguarded('spec.os.name', 'there is no agent for Windows');
  return undefined;
}

function unguarded(path: string, reason: string): Finding {
  return { code: 'SP_NO_AGENT', severity: 'warning', path, message: `not injected: ${reason}` };
}

/** A container or volume of the user's under one of our names would be taken for ours. */
function strangersOf(spec: Raw): readonly Finding[] {
  const taken: Finding[] = [];
  const check = (field: string, names: readonly string[]): void => {
    for (const entry of rawListOf(spec[field])) {
      const name = stringOf(entry['name']) ?? '';
      if (!names.includes(name)) continue;
      taken.push({
        code: 'SP_MANIFEST',
        severity: 'error',
        path: `spec.${field}[${name}]`,
        message: `the name ${name} is taken by what injection adds`,
      });
    }
  };
  check('containers', OWN_CONTAINERS);
  check('initContainers', OWN_CONTAINERS);
  check('volumes', OWN_VOLUMES);
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
    // Not what injection wrote: there is nothing to restore.
    return {};
  }
}

function withField(raw: Raw, name: string, value: unknown): Raw {
  return value === undefined ? without(raw, name) : { ...raw, [name]: value };
}

function withFields(raw: Raw, fields: Raw): Raw {
  return Object.entries(fields).reduce((result, [name, value]) => withField(result, name, value), raw);
}
