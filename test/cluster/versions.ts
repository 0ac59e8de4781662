/*
 * The programs of a test cluster, and of servers behind an agent: each with its Go package, module and version, and the suites that need it. Changing a
 * version here rebuilds the program.
 */

/** Suites that need a binary: `integration` needs an API server alone, `e2e` a whole node. */
export type Suite = 'integration' | 'e2e';

/** A Go module that binaries are built from. */
export interface Product {
  /** Go module path with its major version, e.g. `helm.sh/helm/v4`. */
  readonly module: string;
  /** Module version with its `v`. */
  readonly version: string;
  /** First part of the name of its directory in the cache; absent: its name in {@link products}. */
  readonly directory?: string;
  /** Build tags. */
  readonly tags?: readonly string[];
  /** Values stamped into the binaries with the linker's `-X`; without them an API server calls itself v0.0.0. */
  readonly stamps?: Readonly<Record<string, string>>;
}

/** The lowest and the highest minor of Kubernetes that the product claims, with the release that the tests build. Only here. */
export const KUBERNETES = { lowest: { minor: '1.30', version: 'v1.30.14' }, highest: { minor: '1.37', version: 'v1.37.2' } } as const;

/** The release that the integration suite runs on: that of the minor in `SALLYPORT_KUBERNETES`, the highest without it. @throws Error naming the minors */
export function selectedKubernetes(minor: string | undefined = process.env['SALLYPORT_KUBERNETES']): string {
  if (minor === undefined || minor === '') return KUBERNETES.highest.version;
  const known = Object.values(KUBERNETES);
  const found = known.find((one) => one.minor === minor);
  if (found === undefined)
    throw new Error(`SALLYPORT_KUBERNETES is "${minor}"; the tests know ${known.map((one) => one.minor).join(' and ')}`);
  return found.version;
}

const versionPackage = 'k8s.io/component-base/version';

function kubernetes(version: string): Product {
  const [major = '', minor = ''] = version.slice(1).split('.');
  return {
    module: 'k8s.io/kubernetes',
    version,
    directory: 'kubernetes',
    // Up to 1.30, cloud providers are compiled in, with the whole API of Google Cloud: a fifth of the time.
    tags: ['providerless'],
    stamps: {
      [`${versionPackage}.gitVersion`]: version,
      [`${versionPackage}.gitMajor`]: major,
      [`${versionPackage}.gitMinor`]: minor,
    },
  };
}

/** Every module a test cluster is built from, by the name of its directory in the cache. */
export const products: Readonly<Record<ProductName, Product>> = {
  kubernetes: kubernetes(selectedKubernetes()),
  lowestKubernetes: kubernetes(KUBERNETES.lowest.version),
  etcd: { module: 'go.etcd.io/etcd/server/v3', version: 'v3.7.3' },
  etcdutl: { module: 'go.etcd.io/etcd/etcdutl/v3', version: 'v3.7.3' },
  containerd: { module: 'github.com/containerd/containerd/v2', version: 'v2.4.2' },
  coredns: { module: 'github.com/coredns/coredns', version: 'v1.14.3' },
  helm: { module: 'helm.sh/helm/v4', version: 'v4.3.1' },
  actionlint: { module: 'github.com/rhysd/actionlint', version: 'v1.7.12' },
  kubeconform: { module: 'github.com/yannh/kubeconform', version: 'v0.8.0' },
  natsServer: { module: 'github.com/nats-io/nats-server/v2', version: 'v2.15.3' },
  // Without the clients of cloud providers.
  prometheus: { module: 'github.com/prometheus/prometheus', version: 'v0.316.0', tags: ['remove_all_sd'] },
};

/** Name of a product in {@link products}. */
export type ProductName =
  | 'kubernetes'
  | 'lowestKubernetes'
  | 'etcd'
  | 'etcdutl'
  | 'containerd'
  | 'coredns'
  | 'helm'
  | 'actionlint'
  | 'kubeconform'
  | 'natsServer'
  | 'prometheus';

/** One program. */
export interface Binary {
  readonly product: ProductName;
  /** Name of its file; absent: its name in {@link binaries}. */
  readonly file?: string;
  /** Package below the module, `''` for the module's own root package. */
  readonly packagePath: string;
  /** The smallest suite that needs it. */
  readonly suite: Suite;
}

/** Every program of a test cluster, and servers that tests put behind an agent. */
export const binaries: Readonly<Record<BinaryName, Binary>> = {
  etcd: { product: 'etcd', packagePath: '', suite: 'integration' },
  etcdutl: { product: 'etcdutl', packagePath: '', suite: 'integration' },
  'kube-apiserver': { product: 'kubernetes', packagePath: '/cmd/kube-apiserver', suite: 'integration' },
  'lowest-kube-apiserver': {
    product: 'lowestKubernetes',
    file: 'kube-apiserver',
    packagePath: '/cmd/kube-apiserver',
    suite: 'integration',
  },
  'kube-controller-manager': { product: 'kubernetes', packagePath: '/cmd/kube-controller-manager', suite: 'integration' },
  kubectl: { product: 'kubernetes', packagePath: '/cmd/kubectl', suite: 'integration' },
  'kube-scheduler': { product: 'kubernetes', packagePath: '/cmd/kube-scheduler', suite: 'e2e' },
  kubelet: { product: 'kubernetes', packagePath: '/cmd/kubelet', suite: 'e2e' },
  'kube-proxy': { product: 'kubernetes', packagePath: '/cmd/kube-proxy', suite: 'e2e' },
  containerd: { product: 'containerd', packagePath: '/cmd/containerd', suite: 'e2e' },
  'containerd-shim-runc-v2': { product: 'containerd', packagePath: '/cmd/containerd-shim-runc-v2', suite: 'e2e' },
  ctr: { product: 'containerd', packagePath: '/cmd/ctr', suite: 'e2e' },
  coredns: { product: 'coredns', packagePath: '', suite: 'e2e' },
  helm: { product: 'helm', packagePath: '/cmd/helm', suite: 'integration' },
  actionlint: { product: 'actionlint', packagePath: '/cmd/actionlint', suite: 'integration' },
  kubeconform: { product: 'kubeconform', packagePath: '/cmd/kubeconform', suite: 'integration' },
  'nats-server': { product: 'natsServer', packagePath: '', suite: 'integration' },
  promtool: { product: 'prometheus', packagePath: '/cmd/promtool', suite: 'integration' },
};

/** Name of a program in {@link binaries}. */
export type BinaryName =
  | 'etcd'
  | 'etcdutl'
  | 'kube-apiserver'
  | 'lowest-kube-apiserver'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'kube-scheduler'
  | 'kubelet'
  | 'kube-proxy'
  | 'containerd'
  | 'containerd-shim-runc-v2'
  | 'ctr'
  | 'coredns'
  | 'helm'
  | 'actionlint'
  | 'kubeconform'
  | 'nats-server'
  | 'promtool';

/** Debian packages of a whole node, with the file that shows each one installed. */
export const debianPackages: Readonly<Record<string, string>> = {
  runc: '/usr/sbin/runc',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iptables: '/usr/sbin/iptables',
  conntrack: '/usr/sbin/conntrack',
  iproute2: '/usr/sbin/ip',
  curl: '/usr/bin/curl',
  'busybox-static': '/bin/busybox',
};
