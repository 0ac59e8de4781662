/*
 * A complete one-node Kubernetes for the e2e tests: the API server of control-plane.ts with scheduler, containerd, kubelet,
 * kube-proxy and cluster DNS. Stopping it leaves nothing behind.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { binaryDirs, binaryPath, build } from './build.ts';
import { openAuthority, writeKubeconfig } from './certificates.ts';
import type { BroughtUp, ControlPlane } from './control-plane.ts';
import { bringUp, kubeconfigAs } from './control-plane.ts';
import { containerdSocket, netnsDirectory, nodeName, writeContainerdConfig, writeKubeletConfig, writeProxyConfig } from './node-config.ts';
import { buildNodeImages } from './node-images.ts';
import { installPackages } from './prerequisites.ts';
import type { Running } from './process.ts';
import { startDaemon } from './process.ts';
import { createState, isInUse, nodeState, stopOnExit, sweepLeftovers, tearDown } from './state.ts';
import { hasClusterRules, network, setSysctls } from './traces.ts';
import { freePorts, getText, waitFor } from './wait.ts';

const run = promisify(execFile);

/** Options of a node. Without any: a plain node that stops with this process. */
export interface NodeOptions {
  /** docker-archive or OCI tars to import before the node counts as started. */
  readonly images?: readonly string[];
  /** Writes an audit log to `auditLogPath` of the result. An attached node has one only if it was started with this option. */
  readonly audit?: boolean;
  /** State directory, new or empty, at most 38 characters; absent: a new one in the system's directory for temporary files. */
  readonly stateDir?: string;
  /** Keeps it running when this process exits; `stop`, or a later `tearDown` of its state directory, stops it. */
  readonly outlive?: boolean;
  /** Starts a new node even if `SALLYPORT_TEST_CLUSTER` names a running one. */
  readonly fresh?: boolean;
}

/** A running one-node cluster. */
export interface TestNode extends ControlPlane {
  /** Absolute path of helm. */
  readonly helmPath: string;
  /** `PATH` with kubectl, helm and ctr before everything else. */
  readonly path: string;
  /** Name of the node object. */
  readonly nodeName: string;
  /** Where the network namespaces of its pods are mounted. */
  readonly netnsDirectory: string;
  /** Imports a docker-archive or OCI tar; pods then name the image with `imagePullPolicy: Never`. Replaces an image of the same name. */
  readonly importImage: (tar: string) => Promise<void>;
}

/**
 * Starts a node and waits until it is Ready and cluster DNS responds, about 10 s when everything is built. Needs root. A machine has one at a time.
 * With `SALLYPORT_TEST_CLUSTER=<state directory>` it attaches to the node that runs there, whose `stop` then does nothing.
 * @throws Error when another test node or another cluster's kube-proxy is on this machine, or with the log of the program that failed
 */
export async function startNode(options: NodeOptions = {}, signal?: AbortSignal): Promise<TestNode> {
  const shared = process.env['SALLYPORT_TEST_CLUSTER'];
  if (shared && !options.fresh) return withImages(await attachNode(shared), options.images ?? []);
  await build('e2e', signal);
  await installPackages();
  const ownImages = await buildNodeImages(signal);
  sweepLeftovers();
  refuseSecond();
  const state = createState('node', options.outlive ?? false, options.stateDir);
  const release = options.outlive ? () => undefined : stopOnExit(state);
  const stop = (): Promise<void> => {
    release();
    tearDown(state);
    return Promise.resolve();
  };
  try {
    const images = [...ownImages, ...(options.images ?? [])];
    return { ...(await bringUpNode(state, { ...options, images }, signal)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * A running node, by its state directory. Its `stop` does nothing.
 * @throws Error when no node runs there
 */
export async function attachNode(state: string): Promise<TestNode> {
  if (!isInUse(state)) throw new Error(`no test node is up at ${state}: start one with node test/cluster/cli.ts up`);
  const record = JSON.parse(readFileSync(join(state, recordName), 'utf8')) as NodeRecord;
  const authority = await openAuthority(join(state, 'pki'));
  return {
    ...toolsOf(state),
    ...record,
    kubeconfigAs: (user, groups) => kubeconfigAs({ state, authority, endpoint: record }, user, groups),
    stop: () => Promise.resolve(),
  };
}

const recordName = 'node.json';

type NodeRecord = Pick<ControlPlane, 'url' | 'caPath' | 'kubeconfigPath' | 'kubectlPath' | 'stateDir' | 'auditLogPath'>;

function refuseSecond(): void {
  const other = nodeState();
  if (other) {
    const advice = `end it with node test/cluster/cli.ts down, or use it with SALLYPORT_TEST_CLUSTER=${other}`;
    throw new Error(`a test node is up already at ${other}: ${advice}`);
  }
  if (hasClusterRules()) throw new Error('packet filter rules of another kube-proxy are on this machine; a test node would break them');
}

async function withImages(node: TestNode, images: readonly string[]): Promise<TestNode> {
  for (const image of images) await node.importImage(image);
  return node;
}

type Unstoppable = Omit<TestNode, 'stop'>;

async function bringUpNode(state: string, options: NodeOptions, signal?: AbortSignal): Promise<Unstoppable> {
  const outlive = options.outlive ?? false;
  prepareHost(state);
  const containerd = startContainerd(state, outlive);
  const importing = importAll(state, containerd, options.images ?? [], signal);
  // Awaited below, after the API server has started; a failure before that must not count as unhandled.
  importing.catch(() => undefined);
  const plane = await bringUp(
    { state, outlive, controllerManager: true, nodeIp: network.nodeIp, ...(options.audit ? { audit: true } : {}) },
    signal,
  );
  const manifest = fileURLToPath(new URL('./manifests/coredns.yaml', import.meta.url));
  await run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, 'apply', '--server-side', '-f', manifest]);
  const programs = [containerd, startScheduler(plane, outlive), await startProxy(plane, outlive), await startKubelet(plane, outlive)];
  await importing;
  await waitFor('the node and cluster DNS', programs, () => isNodeReady(plane), signal);
  const { authority: _authority, admin: _admin, ...rest } = plane;
  const { kubeconfigAs: _kubeconfigAs, ...record } = rest;
  writeFileSync(join(state, recordName), JSON.stringify(record satisfies NodeRecord));
  return { ...toolsOf(state), ...rest };
}

function toolsOf(state: string): Pick<TestNode, 'helmPath' | 'path' | 'nodeName' | 'netnsDirectory' | 'importImage'> {
  return {
    helmPath: binaryPath('helm'),
    path: [...binaryDirs('e2e'), process.env['PATH'] ?? ''].join(':'),
    nodeName,
    netnsDirectory: netnsDirectory(state),
    importImage: (tar) => importImage(state, tar),
  };
}

function prepareHost(state: string): void {
  const ip = (...args: readonly string[]): unknown => execFileSync('ip', [...args]);
  // A bridge and not a dummy: small kernels lack the latter.
  ip('link', 'add', network.nodeBridge, 'type', 'bridge');
  ip('addr', 'add', `${network.nodeIp}/32`, 'dev', network.nodeBridge);
  ip('link', 'set', network.nodeBridge, 'up');
  shareNamespaces(netnsDirectory(state));
  setSysctls(state, { 'net.ipv4.ip_forward': 1, 'fs.inotify.max_user_instances': 1024, 'net.bridge.bridge-nf-call-iptables': 1 });
}

/** As systemd does with /run: a container with this directory sees what is mounted there later. */
function shareNamespaces(directory: string): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['--bind', directory, directory]);
  execFileSync('mount', ['--make-shared', directory]);
}

function startContainerd(state: string, outlive: boolean): Running {
  const args = ['--config', writeContainerdConfig(state)];
  const env = { PATH: [...binaryDirs('e2e'), '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(':') };
  return startDaemon({ name: 'containerd', file: binaryPath('containerd'), args, env }, state, outlive);
}

async function importAll(state: string, containerd: Running, tars: readonly string[], signal?: AbortSignal): Promise<void> {
  const ctr = [`--address=${containerdSocket(state)}`, 'plugins', 'ls'];
  const isUp = (): Promise<boolean> =>
    run(binaryPath('ctr'), ctr).then(
      () => true,
      () => false,
    );
  await waitFor('containerd', [containerd], isUp, signal);
  for (const tar of tars) await importImage(state, tar);
}

async function importImage(state: string, tar: string): Promise<void> {
  await run(binaryPath('ctr'), [`--address=${containerdSocket(state)}`, '--namespace=k8s.io', 'images', 'import', tar]);
}

function startScheduler(plane: BroughtUp, outlive: boolean): Running {
  const args = [`--kubeconfig=${plane.kubeconfigPath}`, '--leader-elect=false', '--secure-port=0'];
  return startDaemon({ name: 'kube-scheduler', file: binaryPath('kube-scheduler'), args }, plane.stateDir, outlive);
}

async function startProxy(plane: BroughtUp, outlive: boolean): Promise<Running> {
  const pair = await plane.authority.issue({ name: 'kube-proxy', commonName: 'system:kube-proxy' });
  const kubeconfig = writeKubeconfig(join(plane.stateDir, 'kube-proxy.kubeconfig'), plane, pair);
  const args = [`--config=${writeProxyConfig(plane.stateDir, kubeconfig)}`];
  return startDaemon({ name: 'kube-proxy', file: binaryPath('kube-proxy'), args }, plane.stateDir, outlive);
}

async function startKubelet(plane: BroughtUp, outlive: boolean): Promise<Running> {
  const state = plane.stateDir;
  const pair = await plane.authority.issue({
    name: 'kubelet',
    commonName: `system:node:${nodeName}`,
    groups: ['system:nodes'],
    ips: ['127.0.0.1', network.nodeIp],
    dnsNames: [nodeName],
  });
  const [port = 0] = await freePorts(1);
  mkdirSync(join(state, 'kubelet'), { recursive: true });
  const args = [
    `--config=${writeKubeletConfig({ state, port, serving: pair, caPath: plane.caPath })}`,
    `--kubeconfig=${writeKubeconfig(join(state, 'kubelet.kubeconfig'), plane, pair)}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${network.nodeIp}`,
    `--root-dir=${join(state, 'kubelet')}`,
  ];
  return startDaemon({ name: 'kubelet', file: binaryPath('kubelet'), args }, state, outlive);
}

interface Conditioned {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function isNodeReady(plane: BroughtUp): Promise<boolean> {
  const holds = async (path: string, type: string): Promise<boolean> => {
    const text = await getText(plane, plane.admin, path);
    const object = JSON.parse(text ?? '{}') as Conditioned;
    return object.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  };
  return (
    (await holds(`/api/v1/nodes/${nodeName}`, 'Ready')) &&
    (await holds('/apis/apps/v1/namespaces/kube-system/deployments/coredns', 'Available'))
  );
}
