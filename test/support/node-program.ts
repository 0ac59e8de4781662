/*
 * The program that sets the redirects of a node, as a process, with a directory of network namespaces, and pods of a real API server
 * whose statuses the test writes instead of a kubelet.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { KubeClient } from '../../src/cluster/client.ts';
import type { WrittenObject } from '../../src/cluster/kube-object.ts';
import { objectPath, PODS } from '../../src/cluster/paths.ts';
import { applyObject } from './apply-object.ts';
import { injectedForNode } from './guarded-pods.ts';

const run = promisify(execFile);
const NODE_ENTRY = new URL('../../src/main/node.ts', import.meta.url).pathname;
const INIT_ENTRY = new URL('../../src/main/redirect.ts', import.meta.url).pathname;

/** A process, and what it has written to standard output. */
export interface Process {
  readonly child: ChildProcess;
  readonly log: () => string;
  /** Exit code; null after a signal. */
  readonly ended: Promise<number | null>;
}

/** A directory in which namespaces of `ip netns` are mounted as a container runtime does it. */
export interface NamespaceDirectory {
  readonly path: string;
  /** Mounts a namespace under a new name. */
  readonly mount: (namespace: string) => Promise<void>;
  /** Takes it away, as a runtime does with a sandbox. */
  readonly unmount: (namespace: string) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** A new directory without namespaces. */
export async function createNamespaceDirectory(): Promise<NamespaceDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'netns-'));
  const fileOf = (namespace: string): string => join(path, `cni-${namespace}`);
  const unmount = async (file: string): Promise<void> => {
    await run('umount', [file]).catch(() => undefined);
    await rm(file, { force: true });
  };
  return {
    path,
    mount: async (namespace) => {
      await writeFile(fileOf(namespace), '');
      await run('mount', ['--bind', `/var/run/netns/${namespace}`, fileOf(namespace)]);
    },
    unmount: (namespace) => unmount(fileOf(namespace)),
    remove: async () => {
      for (const name of await readdir(path)) await unmount(join(path, name));
      await rm(path, { recursive: true });
    },
  };
}

/** What the program of a node is started with. */
export interface NodeProgramOptions {
  readonly kubeconfig: string;
  readonly directory: string;
  /** Put in front of PATH; absent: nothing. */
  readonly programs?: string;
}

/** Starts the program for `node1`. */
export function startNodeProgram({ kubeconfig, directory, programs }: NodeProgramOptions): Process {
  const env = {
    ...process.env,
    NODE_NO_WARNINGS: '1',
    NODE_NAME: 'node1',
    SALLYPORT_KUBECONFIG: kubeconfig,
    SALLYPORT_NETNS_DIR: directory,
    SALLYPORT_HTTP_HOST: '127.0.0.1',
    SALLYPORT_HTTP_PORT: '0',
    ...(programs === undefined ? {} : { PATH: `${programs}:${process.env['PATH'] ?? ''}` }),
  };
  return follow(spawn(process.execPath, [NODE_ENTRY], { env, stdio: ['ignore', 'pipe', 'inherit'] }));
}

/** Starts the init container of a pod in a namespace. @param args those that injection wrote */
export function startInit(namespace: string, uid: string, args: readonly string[]): Process {
  const env = { ...process.env, NODE_NO_WARNINGS: '1', POD_UID: uid, NODE_NAME: 'node1' };
  const command = ['netns', 'exec', namespace, process.execPath, INIT_ENTRY, ...args];
  return follow(spawn('ip', command, { env, stdio: ['ignore', 'pipe', 'inherit'] }));
}

function follow(child: ChildProcess): Process {
  let log = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  return { child, log: () => log, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

/** A pod on `node1` whose init container waits. */
export interface NodePod {
  readonly uid: string;
  readonly args: readonly string[];
  /** Reports what a kubelet does: addresses, or how far the init container is. */
  readonly report: (status: object) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Creates a pod with an agent, without a status. */
export async function createNodePod(
  client: KubeClient,
  name: string,
  annotations: Readonly<Record<string, string>> = {},
): Promise<NodePod> {
  const bare = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name, annotations },
    spec: { nodeName: 'node1', containers: [{ name: 'app', image: 'app:1' }], automountServiceAccountToken: false },
  };
  const injected = injectedForNode(bare) as unknown as WrittenObject & { readonly spec: { readonly initContainers: readonly Container[] } };
  const { metadata } = await applyObject(client, injected);
  const path = objectPath({ resource: PODS, namespace: 'default', name });
  const contentType = 'application/merge-patch+json';
  return {
    uid: metadata?.uid ?? '',
    args: injected.spec.initContainers[0]?.args ?? [],
    report: async (status) => void (await client.request({ method: 'PATCH', path: `${path}/status`, body: { status }, contentType })),
    remove: async () => {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 };
      await client.request({ method: 'DELETE', path, body });
    },
  };
}

interface Container {
  readonly args?: readonly string[];
}

/** The status of addresses. */
export function addressesOf(...ips: readonly string[]): object {
  return { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
}

/** The status of an init container in a state. */
export function initStateOf(state: object): object {
  const status = { name: 'sallyport-init', ready: false, restartCount: 0, image: 'a', imageID: '', state };
  return { initContainerStatuses: [status] };
}
