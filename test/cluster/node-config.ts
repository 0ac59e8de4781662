/*
 * Configuration files of a node's programs, in the state directory so that as little as possible is anywhere else. They are
 * JSON, which is valid YAML.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyPairPaths } from './certificates.ts';
import { network } from './traces.ts';

/** Name of the one node. */
export const nodeName = 'node1';

/** Name of the image that holds a pod's namespaces open. */
export const pauseImage = 'sallyport-test/pause:test';

/** Where containerd listens. */
export function containerdSocket(state: string): string {
  return join(state, 'containerd', 'containerd.sock');
}

/** Where containerd mounts the network namespaces of pods: below its state directory, so that nothing of a node is in /run. */
export function netnsDirectory(state: string): string {
  return join(state, 'containerd', 'state', 'io.containerd.grpc.v1.cri', 'netns');
}

/** Writes containerd's and CNI's configuration. @returns path of containerd's */
export function writeContainerdConfig(state: string): string {
  const dir = join(state, 'containerd');
  const cni = join(state, 'cni');
  for (const folder of [dir, cni]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(cni, '10-pods.conflist'), JSON.stringify(cniConfig(state)));
  const path = join(state, 'containerd.toml');
  // restrict_oom_score_adj: in a container or a small VM it cannot be lowered, and runc fails with a broken pipe.
  writeFileSync(
    path,
    `version = 3
root = '${dir}/root'
state = '${dir}/state'
disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.internal.v1.tracing']
[grpc]
  address = '${containerdSocket(state)}'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '${state}/s'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${pauseImage}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
  conf_dir = '${cni}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  Root = '${state}/runc'
  SystemdCgroup = false
`,
  );
  return path;
}

function cniConfig(state: string): object {
  return {
    cniVersion: '0.4.0',
    name: network.cniNetwork,
    plugins: [
      {
        type: 'bridge',
        bridge: network.podBridge,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: { type: 'host-local', dataDir: join(state, 'ipam'), ranges: [[{ subnet: network.podCidr }]], routes: [{ dst: '0.0.0.0/0' }] },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
      // Docker on the same machine drops forwarded packets that no rule accepts explicitly.
      { type: 'firewall', backend: 'iptables' },
    ],
  };
}

/** Parameters of the kubelet's configuration. */
export interface KubeletSettings {
  readonly state: string;
  readonly port: number;
  readonly serving: KeyPairPaths;
  readonly caPath: string;
}

/** Writes the kubelet's configuration. @returns its path */
export function writeKubeletConfig(settings: KubeletSettings): string {
  const { state } = settings;
  const runtime = `unix://${containerdSocket(state)}`;
  const tiny = { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%', 'nodefs.inodesFree': '1%' };
  return writeJson(join(state, 'kubelet.json'), {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    port: settings.port,
    healthzPort: 0,
    tlsCertFile: settings.serving.certPath,
    tlsPrivateKeyFile: settings.serving.keyPath,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: settings.caPath } },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: runtime,
    imageServiceEndpoint: runtime,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    evictionHard: tiny,
    imageGCHighThresholdPercent: 100,
    imageMaximumGCAge: '0s',
    clusterDomain: 'cluster.local',
    clusterDNS: [network.dnsIp],
    resolvConf: '',
    podLogsDir: join(state, 'pod-logs'),
    volumePluginDir: join(state, 'volume-plugins'),
    kubeReserved: {},
  });
}

/** Writes kube-proxy's configuration. @returns its path */
export function writeProxyConfig(state: string, kubeconfigPath: string): string {
  return writeJson(join(state, 'kube-proxy.json'), {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clusterCIDR: network.podCidr,
    hostnameOverride: nodeName,
    clientConnection: { kubeconfig: kubeconfigPath },
    // A test must not change the limits of the machine.
    conntrack: { maxPerCore: 0 },
    iptables: { minSyncPeriod: '0s' },
    healthzBindAddress: '',
    metricsBindAddress: '',
  });
}

function writeJson(path: string, content: object): string {
  writeFileSync(path, JSON.stringify(content, null, 2));
  return path;
}
