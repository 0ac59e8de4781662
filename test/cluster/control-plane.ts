/*
 * A real API server for tests: etcd and kube-apiserver on free ports with their own certificates, optionally with the
 * controller manager. Stopping it leaves nothing behind.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { auditFlags } from './audit.ts';
import { binaryPath, build } from './build.ts';
import type { Authority, Endpoint, KeyPairPaths } from './certificates.ts';
import { createAuthority, writeKubeconfig, writeServiceAccountKeys } from './certificates.ts';
import type { Running } from './process.ts';
import { startDaemon } from './process.ts';
import { createState, stopOnExit, sweepLeftovers, tearDown } from './state.ts';
import { network } from './traces.ts';
import { freePorts, isReady, waitFor } from './wait.ts';

/** Options of an API server. Without any: only etcd and kube-apiserver. */
export interface ControlPlaneOptions {
  /**
   * Also runs kube-controller-manager: namespaces can then be deleted, owned objects are garbage-collected, ServiceAccounts are created.
   * Absent or false: none of that happens, and pods need no ServiceAccount. `service-accounts`: each controller acts as its own
   * ServiceAccount, as in real clusters, and not as the administrator.
   */
  readonly controllerManager?: boolean | 'service-accounts';
  /** Runs the kube-apiserver of the lowest minor that the product claims. Without a controller manager, which may not be newer. */
  readonly lowest?: boolean;
  /** Writes an audit log to `auditLogPath` of the result. */
  readonly audit?: boolean;
  /** More flags for kube-apiserver, after ours, e.g. `--runtime-config=...`. */
  readonly apiServerFlags?: readonly string[];
}

/** A running API server. */
export interface ControlPlane {
  /** `https://127.0.0.1:port` */
  readonly url: string;
  /** PEM file of the authority that signed the server's certificate. */
  readonly caPath: string;
  /** Kubeconfig of a cluster administrator (group system:masters). */
  readonly kubeconfigPath: string;
  /** Absolute path of a kubectl of the same version. */
  readonly kubectlPath: string;
  /** Directory of all its files, removed by `stop`. Logs are in its `logs`. */
  readonly stateDir: string;
  /** Present with `audit: true`. */
  readonly auditLogPath?: string;
  /**
   * Writes a kubeconfig that authenticates as `user` and returns its path. RBAC treats the user
   * `system:serviceaccount:<namespace>:<name>` with groups `system:serviceaccounts` and `system:serviceaccounts:<namespace>` as that ServiceAccount.
   */
  readonly kubeconfigAs: (user: string, groups?: readonly string[]) => Promise<string>;
  /** Stops it and removes every trace. Safe to call twice. Also happens when the process exits or gets SIGINT, SIGTERM or SIGHUP. */
  readonly stop: () => Promise<void>;
}

const attempts = 3;

/**
 * Starts an API server and waits until it serves (3 to 5 s), building the programs first when the cache lacks them.
 * Any number can run at the same time.
 * @throws Error with the end of the log of the program that failed
 */
export async function startControlPlane(options: ControlPlaneOptions = {}, signal?: AbortSignal): Promise<ControlPlane> {
  await build('integration', signal);
  sweepLeftovers();
  for (let attempt = 1; ; attempt += 1) {
    const state = createState('control-plane', false);
    const release = stopOnExit(state);
    const stop = (): Promise<void> => {
      release();
      tearDown(state);
      return Promise.resolve();
    };
    try {
      const { authority: _authority, admin: _admin, ...up } = await bringUp({ ...options, state, outlive: false }, signal);
      return { ...up, stop };
    } catch (error) {
      await stop();
      // A port that was free a moment ago may be in use now.
      if (attempt === attempts || !String(error).includes('address already in use')) throw error;
    }
  }
}

/** What {@link bringUp} needs beyond the caller's options. */
export interface BringUp extends ControlPlaneOptions {
  /** Existing state directory, owned by this process. */
  readonly state: string;
  /** Keep the programs when this process ends. */
  readonly outlive: boolean;
  /** Address, in addition to loopback, on which to serve and which pods get, for a node. */
  readonly nodeIp?: string;
}

/** A running API server with what a node needs to join it. */
export interface BroughtUp extends Omit<ControlPlane, 'stop'> {
  readonly authority: Authority;
  /** Client certificate of the administrator. */
  readonly admin: KeyPairPaths;
}

/** Starts the programs in a given state directory; for {@link startControlPlane} and startNode. */
export async function bringUp(options: BringUp, signal?: AbortSignal): Promise<BroughtUp> {
  const { state, outlive } = options;
  const authority = await createAuthority(join(state, 'pki'));
  const [etcdPort = 0, peerPort = 0, apiPort = 0] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const etcd = startDaemon({ name: 'etcd', file: binaryPath('etcd'), args: etcdFlags(state, etcdUrl, peerPort) }, state, outlive);
  const endpoint: Endpoint = { url: `https://127.0.0.1:${apiPort}`, caPath: authority.ca.certPath };
  const admin = await authority.issue({ name: 'admin', commonName: 'admin', groups: ['system:masters'] });
  const serviceAccount = writeServiceAccountKeys(authority.dir);
  const auditLogPath = join(state, 'logs', 'audit.log');
  const apiServer = startDaemon(
    {
      name: 'kube-apiserver',
      file: binaryPath(options.lowest === true ? 'lowest-kube-apiserver' : 'kube-apiserver'),
      args: [
        `--etcd-servers=${etcdUrl}`,
        `--secure-port=${apiPort}`,
        ...(await apiServerFlags(authority, admin, options)),
        `--service-account-key-file=${serviceAccount.publicPath}`,
        `--service-account-signing-key-file=${serviceAccount.keyPath}`,
        ...(options.audit ? await auditFlags(join(state, 'audit-policy.json'), auditLogPath) : []),
        ...(options.apiServerFlags ?? []),
      ],
    },
    state,
    outlive,
  );
  const kubeconfigPath = writeKubeconfig(join(state, 'admin.kubeconfig'), endpoint, admin);
  await waitFor('the API server', [etcd, apiServer], () => isReady(endpoint, admin, '/readyz'), signal);
  await waitFor('the namespace default', [apiServer], () => isReady(endpoint, admin, '/api/v1/namespaces/default'), signal);
  if (options.controllerManager !== undefined && options.controllerManager !== false) {
    const manager = startControllerManager({ ...options, authority, kubeconfigPath, serviceAccountKeyPath: serviceAccount.keyPath });
    const account = '/api/v1/namespaces/default/serviceaccounts/default';
    await waitFor('the first ServiceAccount', [apiServer, manager], () => isReady(endpoint, admin, account), signal);
  }
  return {
    ...endpoint,
    kubeconfigPath,
    kubectlPath: binaryPath('kubectl'),
    stateDir: state,
    authority,
    admin,
    ...(options.audit ? { auditLogPath } : {}),
    kubeconfigAs: (user, groups) => kubeconfigAs({ state, authority, endpoint }, user, groups),
  };
}

function etcdFlags(state: string, url: string, peerPort: number): readonly string[] {
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  return [
    `--data-dir=${join(state, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
  ];
}

async function apiServerFlags(authority: Authority, admin: KeyPairPaths, options: BringUp): Promise<readonly string[]> {
  const { nodeIp } = options;
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'];
  const serving = await authority.issue({
    name: 'apiserver',
    commonName: 'kube-apiserver',
    ips: ['127.0.0.1', network.apiServiceIp, ...(nodeIp ? [nodeIp] : [])],
    dnsNames: ['localhost', ...service],
  });
  const kubelet = nodeIp
    ? [
        `--advertise-address=${nodeIp}`,
        '--kubelet-preferred-address-types=InternalIP',
        `--kubelet-client-certificate=${admin.certPath}`,
        `--kubelet-client-key=${admin.keyPath}`,
      ]
    : [];
  return [
    `--bind-address=${nodeIp ? '0.0.0.0' : '127.0.0.1'}`,
    `--tls-cert-file=${serving.certPath}`,
    `--tls-private-key-file=${serving.keyPath}`,
    `--client-ca-file=${authority.ca.certPath}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-cluster-ip-range=${network.serviceCidr}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    ...(options.controllerManager !== undefined && options.controllerManager !== false
      ? []
      : ['--disable-admission-plugins=ServiceAccount']),
    ...kubelet,
  ];
}

interface ManagerParts extends BringUp {
  readonly authority: Authority;
  readonly kubeconfigPath: string;
  readonly serviceAccountKeyPath: string;
}

/** Runs as the administrator by default: one token per controller, as in real clusters, costs five seconds at the start. */
function startControllerManager(parts: ManagerParts): Running {
  const { state, authority } = parts;
  const args = [
    `--kubeconfig=${parts.kubeconfigPath}`,
    '--kube-api-qps=1000',
    '--kube-api-burst=1000',
    `--service-account-private-key-file=${parts.serviceAccountKeyPath}`,
    `--root-ca-file=${authority.ca.certPath}`,
    `--cluster-signing-cert-file=${authority.ca.certPath}`,
    `--cluster-signing-key-file=${authority.ca.keyPath}`,
    '--leader-elect=false',
    '--secure-port=0',
    ...(parts.controllerManager === 'service-accounts' ? ['--use-service-account-credentials=true'] : []),
  ];
  return startDaemon({ name: 'kube-controller-manager', file: binaryPath('kube-controller-manager'), args }, state, parts.outlive);
}

interface Issuing {
  readonly state: string;
  readonly authority: Authority;
  readonly endpoint: Endpoint;
}

/** Writes a kubeconfig for `user` into the state directory; see {@link ControlPlane}. */
export async function kubeconfigAs(parts: Issuing, user: string, groups: readonly string[] = []): Promise<string> {
  const name = `user-${user.replace(/[^a-zA-Z0-9-]/g, '_')}`;
  const pair = await parts.authority.issue({ name, commonName: user, groups });
  mkdirSync(join(parts.state, 'users'), { recursive: true });
  return writeKubeconfig(join(parts.state, 'users', `${name}.kubeconfig`), parts.endpoint, pair);
}
