/*
 * What a pod template has besides ports that policies meet: lifecycle hooks that pass through them, and a second mesh.
 */
import { EXCLUDE_PORTS_ANNOTATION } from '../api/kube/names.ts';
import type { Finding } from '../errors.ts';
import type { Capture } from './capture.ts';
import { isRewrittenHook } from './probes.ts';
import { isRaw, portOf, type Raw, rawListOf, rawOf, stringOf } from './raw-json.ts';

/** A template before injection, and what is known of it. */
export interface TemplateFacts {
  /** App containers and sidecars. */
  readonly containers: readonly Raw[];
  readonly capture: Pick<Capture, 'excluded' | 'only'>;
  /** Probes and hooks are rewritten, so that they do not pass through the policies. */
  readonly rewrites: boolean;
}

const HOOKS = ['postStart', 'preStop'] as const;

/** Warnings about hooks that policies may deny: the kubelet sends these requests to the pod's address and ignores the status of the response. */
export function findHooks({ containers, capture, rewrites }: TemplateFacts): readonly Finding[] {
  return containers.flatMap((container) =>
    HOOKS.flatMap((hook) => {
      const request = rawOf(rawOf(container['lifecycle'])[hook])['httpGet'];
      if (!isRaw(request) || (stringOf(request['host']) ?? '') !== '' || (rewrites && isRewrittenHook(container, hook))) return [];
      const port = portOf(request['port']) ?? namedPort(container, stringOf(request['port']) ?? '');
      if (port !== undefined && (capture.excluded.includes(port) || capture.only?.includes(port) === false)) return [];
      return [
        warning(`spec.containers[${stringOf(container['name']) ?? ''}].lifecycle.${hook}.httpGet`, {
          message:
            'the kubelet sends this request through the agent without a token: policies may deny it, and the kubelet does not report that',
          hint: `let injection rewrite it, allow the path without a token, or annotate the pod with ${EXCLUDE_PORTS_ANNOTATION}`,
        }),
      ];
    }),
  );
}

const ISTIO_CONTAINERS: readonly string[] = ['istio-proxy', 'istio-init'];
const AMBIENT_LABEL = 'istio.io/dataplane-mode';

/** What a pod has of Istio's data plane, and where; undefined: nothing. */
export interface IstioTrait {
  readonly path: string;
  readonly what: string;
}

/**
 * What the pod has of Istio's data plane: both redirect its connections, and which policies count depends on the order.
 *
 * @param labels of the pod; one of them takes it out of the ambient mesh of its namespace
 * @param namespaceLabels undefined: not known
 * @see Istio's chart istio-cni, value ambient.enablementSelectors
 */
export function istioTraitOf(labels: Raw, spec: Raw, namespaceLabels: Raw | undefined): IstioTrait | undefined {
  const containers = ['initContainers', 'containers'].flatMap((field) => rawListOf(spec[field]));
  const proxy = containers.map((container) => stringOf(container['name']) ?? '').find((name) => ISTIO_CONTAINERS.includes(name));
  if (proxy !== undefined) return { path: `spec.containers[${proxy}]`, what: `container ${proxy} is Istio's` };
  if (labels[AMBIENT_LABEL] === 'ambient')
    return { path: `metadata.labels[${AMBIENT_LABEL}]`, what: `the label ${AMBIENT_LABEL} puts the pod into Istio's ambient mesh` };
  if (namespaceLabels?.[AMBIENT_LABEL] !== 'ambient' || labels[AMBIENT_LABEL] === 'none') return undefined;
  return { path: 'metadata.namespace', what: `the label ${AMBIENT_LABEL} of the namespace puts the pod into Istio's ambient mesh` };
}

/** A finding about a pod that gets an agent in addition to Istio's data plane. @param istioPods `refuse`: an error */
export function findIstio(trait: IstioTrait | undefined, istioPods: 'refuse' | 'inject' | 'skip'): readonly Finding[] {
  if (trait === undefined) return [];
  const message = `${trait.what}: both data planes redirect the pod's connections and listen on port 15006, where one of them fails to start`;
  const hint =
    'let one of them enforce: remove Istio from the pod, opt the pod out of the injection of agents, or set agent.istioPods to "skip"';
  return [{ ...warning(trait.path, { message, hint }), severity: istioPods === 'refuse' ? 'error' : 'warning' }];
}

function namedPort(container: Raw, name: string): number | undefined {
  if (/^\d+$/.test(name)) return portOf(Number(name));
  return portOf(rawListOf(container['ports']).find((entry) => entry['name'] === name)?.['containerPort']);
}

function warning(path: string, { message, hint }: { readonly message: string; readonly hint: string }): Finding {
  return { code: 'SP_MANIFEST', severity: 'warning', path, message, hint };
}
