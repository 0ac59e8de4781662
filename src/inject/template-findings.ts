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

/** A warning about Istio's data plane in the same pod: both redirect its connections, and which policies count depends on the order. */
export function findIstio(labels: Raw, spec: Raw): readonly Finding[] {
  const containers = ['initContainers', 'containers'].flatMap((field) => rawListOf(spec[field]));
  const proxy = containers.map((container) => stringOf(container['name']) ?? '').find((name) => ISTIO_CONTAINERS.includes(name));
  const isAmbient = labels[AMBIENT_LABEL] === 'ambient';
  if (proxy === undefined && !isAmbient) return [];
  const what = proxy === undefined ? `the label ${AMBIENT_LABEL} puts the pod into Istio's ambient mesh` : `container ${proxy} is Istio's`;
  return [
    warning(proxy === undefined ? `metadata.labels[${AMBIENT_LABEL}]` : `spec.containers[${proxy}]`, {
      message: `${what}: both data planes redirect the pod's connections, and the agent may see those of Istio's proxy only`,
      hint: 'let one of them enforce: remove Istio from the pod, or opt out of the injection of agents',
    }),
  ];
}

function namedPort(container: Raw, name: string): number | undefined {
  if (/^\d+$/.test(name)) return portOf(Number(name));
  return portOf(rawListOf(container['ports']).find((entry) => entry['name'] === name)?.['containerPort']);
}

function warning(path: string, { message, hint }: { readonly message: string; readonly hint: string }): Finding {
  return { code: 'SP_MANIFEST', severity: 'warning', path, message, hint };
}
