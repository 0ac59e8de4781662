/*
 * Probes that keep working behind an agent. In: containers with the user's probes. Out: the same containers whose HTTP, TCP
 * and gRPC probes ask the agent's admin port instead, and the probes that the agent then performs from inside the pod,
 * past the capture. Called by injection, and backwards when an agent is taken out again.
 * @see semantics of Istio's rewriteAppHTTPProbers
 */
import { AGENT_ADMIN_PORT, APP_HEALTH_PREFIX, type AppProbe, type AppProbes } from '../api/kube/agent-contract.ts';
import { isRaw, portOf, type Raw, rawListOf, rawOf, stringOf, without } from './raw-json.ts';

const PROBES: readonly (readonly [field: string, word: string])[] = [
  ['livenessProbe', 'livez'],
  ['readinessProbe', 'readyz'],
  ['startupProbe', 'startupz'],
];
const HANDLERS = ['httpGet', 'tcpSocket', 'grpc'] as const;

export interface RewrittenProbes {
  readonly containers: readonly Raw[];
  readonly probes: AppProbes;
}

/** Containers without a rewritable probe are returned as they are. `exec` probes, and HTTP probes of another host, stay. */
export function rewriteProbes(containers: readonly Raw[]): RewrittenProbes {
  const probes: Record<string, AppProbe> = {};
  const rewritten = containers.map((container) => {
    const name = stringOf(container['name']) ?? '';
    let result = container;
    for (const [field, word] of PROBES) {
      const probe = container[field];
      if (!isRaw(probe)) continue;
      const own = appProbe(probe, container);
      if (own === undefined) continue;
      probes[`${name}/${word}`] = own;
      result = { ...result, [field]: { ...without(probe, ...HANDLERS), httpGet: agentHandler(name, word) } };
    }
    return result;
  });
  return { containers: rewritten, probes };
}

/** Undoes {@link rewriteProbes}; ports that were named come back as numbers. */
export function restoreProbes(containers: readonly Raw[], probes: AppProbes): readonly Raw[] {
  return containers.map((container) => {
    const name = stringOf(container['name']) ?? '';
    let result = container;
    for (const [field, word] of PROBES) {
      const probe = container[field];
      const own = probes[`${name}/${word}`];
      if (!isRaw(probe) || own === undefined || rawOf(probe['httpGet'])['path'] !== `${APP_HEALTH_PREFIX}${name}/${word}`) continue;
      const { timeoutSeconds: _kept, ...handler } = own;
      result = { ...result, [field]: { ...without(probe, 'httpGet'), ...handler } };
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
    const isOwnHost = (stringOf(http['host']) ?? '') === '';
    return port === undefined || !isOwnHost ? undefined : { httpGet: httpHandler(http, port) };
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

/** A port by number (also as text) or by its name in the container. */
function resolvePort(port: unknown, container: Raw): number | undefined {
  if (typeof port === 'number') return portOf(port);
  const name = stringOf(port) ?? '';
  if (/^\d+$/.test(name)) return portOf(Number(name));
  return portOf(rawListOf(container['ports']).find((entry) => entry['name'] === name)?.['containerPort']);
}
