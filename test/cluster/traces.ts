/*
 * Finds and removes what a node leaves outside of its state directory: container processes, bridges, packet filter rules,
 * control groups, log links.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Names and ranges of a node's network. Fixed: a machine has one test node at a time. */
export const network = {
  /** Bridge that carries the node's own address. */
  nodeBridge: 'sallyport-node',
  nodeIp: '10.99.0.1',
  /** Bridge that connects the pods. */
  podBridge: 'sallyport-pods',
  podCidr: '10.244.0.0/24',
  serviceCidr: '10.96.0.0/16',
  /** First address of the Service range: `kubernetes.default`. */
  apiServiceIp: '10.96.0.1',
  dnsIp: '10.96.0.10',
  /** Name of the CNI network, in the names of the files that CNI keeps. */
  cniNetwork: 'sallyport-pods',
} as const;

/** Shims and processes in containers of the node at `state`: their command line or their root file system refers to it. */
export function containerProcesses(state: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => isShimOf(pid, state) || hasRootIn(pid, state))
    .map(Number);
}

function isShimOf(pid: string, state: string): boolean {
  const command = readProc(pid, 'cmdline');
  return command.includes('containerd-shim') && command.includes(state);
}

/** A container's root is an overlay mount whose layers are in the state directory. */
function hasRootIn(pid: string, state: string): boolean {
  const root = readProc(pid, 'mounts')
    .split('\n')
    .find((line) => line.split(' ')[1] === '/');
  return root?.includes(`${state}/`) ?? false;
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

/** Removes the bridges, and the chains of kube-proxy, kubelet and CNI with every rule that jumps to them. */
export function removeNetwork(): void {
  for (const bridge of [network.nodeBridge, network.podBridge]) {
    // The kernel removes the pods' ends, and with them these, after a while; an explicit removal is immediate.
    for (const port of childrenOf(`/sys/class/net/${bridge}/brif`)) spawnSync('ip', ['link', 'delete', port]);
    if (existsSync(`/sys/class/net/${bridge}`)) execFileSync('ip', ['link', 'delete', bridge]);
  }
  for (const family of ['iptables', 'ip6tables']) {
    const saved = spawnSync(`${family}-save`, { encoding: 'utf8' });
    if (saved.status !== 0) continue;
    const undo = undoOf(saved.stdout);
    if (undo) execFileSync(`${family}-restore`, ['--noflush'], { input: undo });
  }
}

const ourChain = /^(KUBE|CNI)-/;

/** Are there rules of a kube-proxy or of CNI plugins? */
export function hasClusterRules(): boolean {
  return /^:KUBE-SERVICES /m.test(spawnSync('iptables-save', { encoding: 'utf8' }).stdout ?? '');
}

/**
 * Input for `iptables-restore --noflush` that removes our chains from the output of `iptables-save`; `''` when it has no such chains.
 * Naming a chain there empties it, after which it can be deleted.
 */
function undoOf(saved: string): string {
  return saved
    .split(/^(?=\*)/m)
    .map((table) => {
      const lines = table.split('\n');
      const chains = lines.filter((line) => line.startsWith(':')).map((line) => line.slice(1).split(' ')[0] ?? '');
      const ours = chains.filter((chain) => ourChain.test(chain));
      const jumps = lines.filter((line) => {
        const [verb, chain = ''] = line.split(' ');
        return verb === '-A' && !ourChain.test(chain) && /-[jg] (KUBE|CNI)-/.test(line);
      });
      if (ours.length === 0) return '';
      return [
        lines[0],
        ...ours.map((chain) => `:${chain} - [0:0]`),
        ...jumps.map((line) => line.replace(/^-A/, '-D')),
        ...ours.map((chain) => `-X ${chain}`),
        'COMMIT',
        '',
      ].join('\n');
    })
    .join('');
}

const sysctlRecord = 'sysctls.json';

/** Sets the kernel parameters that this kernel has, and saves their former values in the state directory. */
export function setSysctls(state: string, values: Readonly<Record<string, number>>): void {
  const before: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    const path = sysctlPath(name);
    if (!existsSync(path)) continue;
    const was = readFileSync(path, 'utf8').trim();
    // A higher value stays.
    if (Number(was) >= value) continue;
    before[name] = was;
    writeFileSync(path, String(value));
  }
  writeFileSync(join(state, sysctlRecord), JSON.stringify(before));
}

/** Restores the kernel parameters that {@link setSysctls} changed. */
export function restoreSysctls(state: string): void {
  const path = join(state, sysctlRecord);
  if (!existsSync(path)) return;
  const before = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, string>>;
  for (const [name, value] of Object.entries(before)) writeFileSync(sysctlPath(name), value);
}

function sysctlPath(name: string): string {
  return join('/proc/sys', name.replaceAll('.', '/'));
}

/** Removes files that kubelet and CNI write at fixed paths. */
export function removeTraces(state: string): void {
  for (const hierarchy of ['', ...childrenOf('/sys/fs/cgroup')]) removeCgroup(join('/sys/fs/cgroup', hierarchy, 'kubepods'));
  removeMatching('/var/log/containers', (path) => lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(state));
  removeMatching('/var/lib/cni/results', (path) => path.includes(`/${network.cniNetwork}-`));
}

function removeMatching(dir: string, matches: (path: string) => boolean): void {
  for (const name of childrenOf(dir)) {
    const path = join(dir, name);
    if (matches(path)) rmSync(path, { force: true });
  }
}

/** Control groups are removed leaf by leaf; one that still holds processes of others stays. */
function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const name of childrenOf(path)) {
    if (lstatSync(join(path, name)).isDirectory()) removeCgroup(join(path, name));
  }
  try {
    rmdirSync(path);
  } catch {
    // in use
  }
}

function childrenOf(dir: string): readonly string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
