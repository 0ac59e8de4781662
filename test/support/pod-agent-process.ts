/*
 * The agent of a pod on a real API server as a process: with the environment that the spec of the pod gives it, on other ports, and with
 * the volumes that the spec names, which the test mounts as the kubelet does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { Agent, type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { freePorts } from '../cluster/wait.ts';
import { mountVolume } from '../unit/agent/bundles.ts';
import { agentCommand } from './agent-flags.ts';
import { until } from './fake-clock.ts';
import type { PolicyCluster } from './policy-cluster.ts';

/** A running agent. */
export interface PodAgentProcess {
  /** Where clients connect. */
  readonly port: number;
  /** Status of the response to GET, with a bearer token if there is one; the client keeps its connection. */
  readonly get: (path: string, token?: string) => Promise<number>;
  /** Lines of its log, also of earlier processes. */
  readonly log: readonly string[];
  /** Ends the process and starts another one with the same state. */
  readonly restart: () => Promise<void>;
  /** Suspends the process, or lets it go on. */
  readonly suspend: (isSuspended: boolean) => void;
  /** Ends the process as a crash of its node does. */
  readonly kill: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PodAgentOptions {
  readonly cluster: PolicyCluster;
  readonly namespace: string;
  readonly pod: string;
  /** Directory with the sources of the agent. */
  readonly root: string;
  /** Where the application listens. */
  readonly appPort: number;
  /** Where its feed is, if other agents of this host have another address there; absent: agents connect from 127.0.0.1. */
  readonly connectFrom?: { readonly address: string; readonly feedPort: number };
  /** Whether the kubelet looks for changes now; absent: always. */
  readonly isMounting?: () => boolean;
}

const CONNECT_FROM = new URL('connect-from.mjs', import.meta.url).href;
const START_MS = 60_000;
const MOUNT_MS = 200;

/** Agents that run, which must not outlive this process. */
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts the agent; resolves when it has a bundle. */
export async function startPodAgent(options: PodAgentOptions): Promise<PodAgentProcess> {
  const { cluster, namespace, pod, root, appPort, connectFrom } = options;
  const raw = await cluster.readPod(namespace, pod);
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-pod-'));
  const [bundle, state, info] = ['bundle', 'state', 'info'].map((name) => join(directory, name)) as [string, string, string];
  for (const one of [bundle, state, info]) await mkdir(one);
  const labels = Object.entries(raw?.metadata?.labels ?? {}).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`);
  await mountVolume(info, { labels: labels.join('') });
  const mounting = keepMounted(options, raw, bundle);
  const [port = 0, adminPort = 0] = await freePorts(2);
  const env: Readonly<Record<string, string>> = {
    ...environmentOf(raw),
    SALLYPORT_PORTS: `${port}:${appPort}`,
    SALLYPORT_ADMIN_PORT: `${adminPort}`,
    SALLYPORT_CAPTURE_PORT: '',
    SALLYPORT_BLOCKED_PORT: '',
    SALLYPORT_BUNDLE_DIR: bundle,
    SALLYPORT_STATE_DIR: state,
    SALLYPORT_LABELS_FILE: join(info, 'labels'),
    ...(connectFrom !== undefined && {
      NODE_OPTIONS: `--import ${CONNECT_FROM}`,
      CONNECT_FROM: connectFrom.address,
      FEED_PORT: String(connectFrom.feedPort),
    }),
  };
  const log: string[] = [];
  const start = async (): Promise<ChildProcess> => {
    const [command = '', ...flags] = agentCommand(root);
    const entry = join(root, 'src/main/agent.ts');
    const child = spawn(command, [...flags, entry], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', (line) => log.push(line));
    const isReady = async (): Promise<boolean> => child.exitCode !== null || (await statusOf(adminPort, '/readyz')) === 200;
    await until(isReady, `the agent of ${pod} to be ready`, START_MS).catch((error: unknown) => {
      throw new Error(`${String(error)}; its log: ${log.slice(-5).join('\n')}`, { cause: error });
    });
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  let running = await start();
  const connections = new Agent({ keepAlive: true, maxSockets: 4 });
  return {
    port,
    get: (path, token) =>
      statusOf(port, path, { agent: connections, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }),
    log,
    restart: async () => {
      await end(running);
      running = await start();
    },
    suspend: (isSuspended) => void running.kill(isSuspended ? 'SIGSTOP' : 'SIGCONT'),
    kill: async () => {
      const gone = once(running, 'exit');
      running.kill('SIGKILL');
      await gone;
    },
    stop: async () => {
      connections.destroy();
      await end(running);
      await mounting.stop();
      await rm(directory, { recursive: true });
    },
  };
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

/** The environment as the kubelet would set it. */
function environmentOf(raw: RawObject | undefined): Record<string, string> {
  const { initContainers = [] } = (raw?.['spec'] ?? {}) as {
    readonly initContainers?: readonly { readonly name: string; readonly env?: readonly Variable[] }[];
  };
  const fields: Readonly<Record<string, string | undefined>> = {
    'status.podIP': '127.0.0.1',
    'metadata.name': raw?.metadata?.name,
    'metadata.namespace': raw?.metadata?.namespace,
  };
  const agent = initContainers.find(({ name }) => name === 'sallyport-agent');
  if (agent === undefined) throw new Error('the pod has no agent');
  const env = (agent.env ?? []).map(
    ({ name, value, valueFrom }) => [name, value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? ''] as const,
  );
  return Object.fromEntries(env);
}

interface MapSource {
  readonly name: string;
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}

/** The ConfigMaps of the volume of the bundle. */
function sourcesOf(raw: RawObject | undefined): readonly MapSource[] {
  const { volumes = [] } = (raw?.['spec'] ?? {}) as {
    readonly volumes?: readonly {
      readonly name: string;
      readonly configMap?: MapSource;
      readonly projected?: { readonly sources: readonly { readonly configMap: MapSource }[] };
    }[];
  };
  const volume = volumes.find(({ name }) => name === 'sallyport-bundle');
  return [
    ...(volume?.configMap === undefined ? [] : [volume.configMap]),
    ...(volume?.projected?.sources ?? []).map(({ configMap }) => configMap),
  ];
}

/** Mounts what the API server has whenever it changes; while the API server is away, the volume stays as it is. */
function keepMounted(
  { cluster, namespace, isMounting = () => true }: PodAgentOptions,
  raw: RawObject | undefined,
  directory: string,
): { readonly stop: () => Promise<void> } {
  const stopping = new AbortController();
  let mounted = '';
  const look = async (): Promise<void> => {
    const files: Record<string, Buffer> = {};
    for (const { name, items } of sourcesOf(raw)) {
      const found = await cluster.configMap(namespace, name);
      const text = Object.entries((found?.['data'] ?? {}) as Record<string, string>).map(
        ([key, value]) => [key, Buffer.from(value)] as const,
      );
      const binary = Object.entries((found?.['binaryData'] ?? {}) as Record<string, string>);
      for (const [key, value] of [...text, ...binary.map(([key, value]) => [key, Buffer.from(value, 'base64')] as const)]) {
        const path = items === undefined ? key : items.find((item) => item.key === key)?.path;
        if (path !== undefined) files[path] = value;
      }
    }
    const content = JSON.stringify(Object.entries(files).map(([path, value]) => [path, value.toString('base64')]));
    if (content === mounted) return;
    mounted = content;
    await mountVolume(directory, files);
  };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      if (isMounting()) await look().catch(() => undefined);
      await delay(MOUNT_MS);
    }
  })();
  return {
    stop: () => {
      stopping.abort();
      return loop;
    },
  };
}

/** 0: no response. */
function statusOf(port: number, path: string, options: RequestOptions = {}): Promise<number> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path, ...options }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', () => resolve(0));
    });
    sent.once('error', () => resolve(0));
    sent.end();
  });
}
