/*
 * Pods with agents for tests: the slim form of a guarded pod, and raw pods that the product's own injection changed.
 */

import { fileURLToPath } from 'node:url';
import type { InjectedFeed } from '../../src/api/kube/agent-contract.ts';
import { type Fields, itemsOf } from '../../src/api/kube/pod-fields.ts';
import { projectPod, type SlimPod } from '../../src/api/kube/slim.ts';
import { legacyBundleName, workloadIdOf } from '../../src/api/kube/workload.ts';
import { injectPodTemplate } from '../../src/inject/inject-pod.ts';
import type { Raw } from '../../src/inject/raw-json.ts';
import type { InjectedTrust, InjectionSettings } from '../../src/inject/settings.ts';

/** Image of the agents that {@link injected} adds. */
export const AGENT_IMAGE = 'example/agent:1';

/** A file that `sallyport inject --trust-anchor` reads. */
export const TRUST_ANCHOR_FILE: string = fileURLToPath(new URL('trust-anchor.json', import.meta.url));

/** What {@link injected} agents trust: nothing that a test could sign. */
export const TRUST: InjectedTrust = { anchor: '{"cluster":"test","keys":[]}', floor: 0 };

/** What a guarded pod has that others lack; its ports are unknown. */
export const GUARDED: Pick<SlimPod, 'agent'> = { agent: { ports: [], excluded: [], level: 2 } };

/** The slim form of a raw pod, guarded or not, whatever its spec says. */
export function slimPod(raw: object, isGuarded = true): SlimPod {
  return { ...projectPod(raw), ...(isGuarded ? GUARDED : {}) };
}

/** A raw pod with the agent that injection adds to it. @param trust absent: {@link TRUST} @param feed absent: it has none */
export function injected(pod: object, trust: InjectedTrust = TRUST, feed?: InjectedFeed): Raw {
  return injectedWith(pod, { image: AGENT_IMAGE, version: '1', trust, ...(feed === undefined ? {} : { feed }) });
}

/** A raw pod with an agent whose init container waits for the redirect by the node. */
export function injectedForNode(pod: object): Raw {
  return injectedWith(pod, { image: AGENT_IMAGE, version: '1', trust: TRUST, captureMode: 'node' });
}

function injectedWith(pod: object, settings: InjectionSettings): Raw {
  const raw = pod as Raw;
  const result = injectPodTemplate(raw, { workload: workloadIdOf(projectPod(raw)), settings });
  if (!result.changed) throw new Error(`no agent was injected: ${JSON.stringify(result.findings)}`);
  return result.pod;
}

/** A bare pod with an agent, as the version before injected it: it takes unsigned bundles. */
export function levelOne(pod: object): object {
  const { metadata, spec } = structuredClone(pod) as {
    metadata: { name: string };
    spec: { initContainers: { env?: { name: string }[] }[]; volumes: { name: string }[] };
  };
  const added = new Set(['SALLYPORT_BUNDLE_LEVEL', 'SALLYPORT_TRUST_ANCHOR', 'SALLYPORT_BUNDLE_FLOOR', 'SALLYPORT_WORKLOAD_KIND']);
  for (const container of spec.initContainers)
    if (container.env !== undefined) container.env = container.env.filter(({ name }) => !added.has(name));
  spec.volumes = spec.volumes.map((volume) =>
    volume.name === 'sallyport-bundle'
      ? { name: volume.name, configMap: { name: legacyBundleName(metadata.name), optional: true } }
      : volume,
  );
  return { ...pod, spec };
}

/** The spec of an injected pod as rendering 2 wrote it: one agent port for each of `ports`, other ports closed. */
export function renderingTwo(spec: Fields, ports: readonly number[]): Fields {
  const listened = ports.map((port, at) => ({ port, listen: 15_101 + at }));
  const maps = listened.flatMap(({ port, listen }) => ['--map', `${port}:${listen}`]);
  const env = [
    { name: 'SALLYPORT_PORTS', value: listened.map(({ port, listen }) => `${listen}:${port}`).join(',') },
    { name: 'SALLYPORT_BLOCKED_PORT', value: '15099' },
  ];
  const initContainers = itemsOf(spec['initContainers']).map((container) => {
    if (container['name'] === 'sallyport-init')
      return { ...container, args: ['redirect', ...maps, '--exclude', '15020', '--blocked', '15099'] };
    if (container['name'] !== 'sallyport-agent') return container;
    const others = itemsOf(container['env']).filter(({ name }) => name !== 'SALLYPORT_CAPTURE_PORT');
    return { ...container, env: [...others, ...env] };
  });
  return { ...spec, initContainers };
}
