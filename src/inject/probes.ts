/*
 * Rewrites probes and lifecycle hooks so that they keep working with an agent: HTTP, TCP and gRPC probes and HTTP hooks go to the
 * agent's admin port, and the agent performs the original ones from inside the pod, where they are not captured. Also restores them
 * when an agent is removed.
 * @see Istio's annotation sidecar.istio.io/rewriteAppHTTPProbers
 */
import { AGENT_ADMIN_PORT, APP_HEALTH_PREFIX, APP_HOOKS, type AppProbe, type AppProbes } from '../api/kube/agent-contract.ts';
import { isRaw, portOf, type Raw, rawListOf, rawOf, stringOf, without } from './raw-json.ts';

const PROBES: readonly (readonly [field: string, word: string])[] = [
  ['livenessProbe', 'livez'],
  ['readinessProbe', 'readyz'],
  ['startupProbe', 'startupz'],
];
const HOOKS: readonly (readonly [field: string, word: string])[] = [
  ['postStart', APP_HOOKS.postStart],
  ['preStop', APP_HOOKS.preStop],
];
const HANDLERS = ['httpGet', 'tcpSocket', 'grpc'] as const;

/** What the kubelet grants a pod to end, and with it its `preStop` hooks, unless the pod says otherwise. */
const GRACE_SECONDS = 30;
/** Longest time of a probe or hook that the agent accepts, in seconds. */
const MAX_SECONDS = 3600;

/** Containers with rewritten probes and hooks, and the original ones. */
export interface RewrittenProbes {
  readonly containers: readonly Raw[];
  readonly probes: AppProbes;
}

/**
 * Rewrites HTTP, TCP and gRPC probes, and HTTP hooks. `exec` and requests to another host are unchanged, as are containers without others.
 * @param gracePeriod the pod's `terminationGracePeriodSeconds`, which bounds `preStop` hooks
 */
export function rewriteProbes(containers: readonly Raw[], gracePeriod?: unknown): RewrittenProbes {
  const probes: Record<string, AppProbe> = {};
  const rewritten = containers.map((container) => {
    const name = stringOf(container['name']) ?? '';
    let result = container;
    for (const [field, word] of PROBES) {
      const probe = container[field];
      if (!isRaw(probe)) continue;
      const original = appProbe(probe, container);
      if (original === undefined) continue;
      probes[`${name}/${word}`] = original;
      result = { ...result, [field]: { ...without(probe, ...HANDLERS), httpGet: agentHandler(name, word) } };
    }
    for (const [field, word] of HOOKS) {
      const original = originalHook(container, field);
      if (original === undefined) continue;
      probes[`${name}/${word}`] = field === 'preStop' ? { ...original, timeoutSeconds: secondsOf(gracePeriod) } : original;
      result = withHook(result, field, { httpGet: agentHandler(name, word) });
    }
    return result;
  });
  return { containers: rewritten, probes };
}

/** Whether {@link rewriteProbes} rewrites the hook `field` of `container`. */
export function isRewrittenHook(container: Raw, field: string): boolean {
  return originalHook(container, field) !== undefined;
}

function originalHook(container: Raw, field: string): AppProbe | undefined {
  const { httpGet } = hookOf(container, field);
  return isRaw(httpGet) ? probeHandler({ httpGet }, container) : undefined;
}

function hookOf(container: Raw, field: string): Raw {
  return rawOf(rawOf(container['lifecycle'])[field]);
}

function withHook(container: Raw, field: string, hook: Raw): Raw {
  return { ...container, lifecycle: { ...rawOf(container['lifecycle']), [field]: hook } };
}

/** A period within what the agent accepts. An operator who ends a pod may grant more; the hook still ends with its container. */
function secondsOf(gracePeriod: unknown): number {
  const seconds = typeof gracePeriod === 'number' ? gracePeriod : GRACE_SECONDS;
  return Math.min(Math.max(Math.trunc(seconds), 1), MAX_SECONDS);
}

/** Reverses {@link rewriteProbes}; named ports come back as numbers. */
export function restoreProbes(containers: readonly Raw[], probes: AppProbes): readonly Raw[] {
  return containers.map((container) => {
    const name = stringOf(container['name']) ?? '';
    let result = container;
    for (const [field, word] of PROBES) {
      const probe = container[field];
      const original = probes[`${name}/${word}`];
      if (!isRaw(probe) || original === undefined || rawOf(probe['httpGet'])['path'] !== `${APP_HEALTH_PREFIX}${name}/${word}`) continue;
      const { timeoutSeconds: _kept, ...handler } = original;
      result = { ...result, [field]: { ...without(probe, 'httpGet'), ...handler } };
    }
    for (const [field, word] of HOOKS) {
      const { httpGet } = probes[`${name}/${word}`] ?? {};
      if (httpGet === undefined || rawOf(hookOf(container, field)['httpGet'])['path'] !== `${APP_HEALTH_PREFIX}${name}/${word}`) continue;
      result = withHook(result, field, { httpGet });
    }
    return result;
  });
}

function agentHandler(container: string, word: string): Raw {
  return { path: `${APP_HEALTH_PREFIX}${container}/${word}`, port: AGENT_ADMIN_PORT, scheme: 'HTTP' };
}

function appProbe(probe: Raw, container: Raw): AppProbe | undefined {
  const handler = probeHandler(probe, container);
  if (handler === undefined) return undefined;
  const timeout = probe['timeoutSeconds'];
  return typeof timeout === 'number' ? { ...handler, timeoutSeconds: timeout } : handler;
}

function probeHandler(probe: Raw, container: Raw): AppProbe | undefined {
  const [http, tcp, grpc] = HANDLERS.map((name) => probe[name]);
  if (isRaw(http)) {
    const port = resolvePort(http['port'], container);
    const isPodItself = (stringOf(http['host']) ?? '') === '';
    return port === undefined || !isPodItself ? undefined : { httpGet: httpHandler(http, port) };
  }
  if (isRaw(tcp)) {
    const port = resolvePort(tcp['port'], container);
    return port === undefined || (stringOf(tcp['host']) ?? '') !== '' ? undefined : { tcpSocket: { port } };
  }
  if (isRaw(grpc)) {
    const port = resolvePort(grpc['port'], container);
    const service = stringOf(grpc['service']) ?? '';
    return port === undefined ? undefined : { grpc: { port, ...(service === '' ? {} : { service }) } };
  }
  return undefined;
}

function httpHandler(http: Raw, port: number): NonNullable<AppProbe['httpGet']> {
  const path = stringOf(http['path']) ?? '';
  const headers = rawListOf(http['httpHeaders']).map((header) => ({
    name: stringOf(header['name']) ?? '',
    value: stringOf(header['value']) ?? '',
  }));
  return {
    ...(path === '' ? {} : { path }),
    port,
    ...(http['scheme'] === 'HTTPS' ? { scheme: 'HTTPS' as const } : {}),
    ...(headers.length === 0 ? {} : { httpHeaders: headers }),
  };
}

/** A port by number, by number in a string, or by its name in the container; undefined if it does not exist. */
function resolvePort(port: unknown, container: Raw): number | undefined {
  if (typeof port === 'number') return portOf(port);
  const name = stringOf(port) ?? '';
  if (/^\d+$/.test(name)) return portOf(Number(name));
  return portOf(rawListOf(container['ports']).find((entry) => entry['name'] === name)?.['containerPort']);
}
