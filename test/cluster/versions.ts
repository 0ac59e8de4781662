/*
 * The programs of a test cluster: each with its Go package, module and version, and the suites that need it. Changing a
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
  /** Values stamped into the binaries with the linker's `-X`; without them an API server calls itself v0.0.0. */
  readonly stamps?: Readonly<Record<string, string>>;
}

const kubernetesVersion = 'v1.37.2';
const versionPackage = 'k8s.io/component-base/version';

/** Every module a test cluster is built from, by the name of its directory in the cache. */
export const products: Readonly<Record<ProductName, Product>> = {
  kubernetes: {
    module: 'k8s.io/kubernetes',
    version: kubernetesVersion,
    stamps: {
      [`${versionPackage}.gitVersion`]: kubernetesVersion,
      [`${versionPackage}.gitMajor`]: kubernetesVersion.split('.')[0]?.slice(1) ?? '',
      [`${versionPackage}.gitMinor`]: kubernetesVersion.split('.')[1] ?? '',
    },
  },
  etcd: { module: 'go.etcd.io/etcd/server/v3', version: 'v3.7.3' },
  etcdutl: { module: 'go.etcd.io/etcd/etcdutl/v3', version: 'v3.7.3' },
  containerd: { module: 'github.com/containerd/containerd/v2', version: 'v2.4.2' },
  coredns: { module: 'github.com/coredns/coredns', version: 'v1.14.3' },
  helm: { module: 'helm.sh/helm/v4', version: 'v4.3.1' },
  actionlint: { module: 'github.com/rhysd/actionlint', version: 'v1.7.12' },
};

/** Name of a product in {@link products}. */
export type ProductName = 'kubernetes' | 'etcd' | 'etcdutl' | 'containerd' | 'coredns' | 'helm' | 'actionlint';

/** One program: the file's name is its key in {@link binaries}. */
export interface Binary {
  readonly product: ProductName;
  /** Package below the module, `''` for the module's own root package. */
  readonly packagePath: string;
  /** The smallest suite that needs it. */
  readonly suite: Suite;
}

/** Every program of a test cluster. */
export const binaries: Readonly<Record<BinaryName, Binary>> = {
  etcd: { product: 'etcd', packagePath: '', suite: 'integration' },
  etcdutl: { product: 'etcdutl', packagePath: '', suite: 'integration' },
  'kube-apiserver': { product: 'kubernetes', packagePath: '/cmd/kube-apiserver', suite: 'integration' },
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
};

/** Name of a program in {@link binaries}, which is also its file name. */
export type BinaryName =
  | 'etcd'
  | 'etcdutl'
  | 'kube-apiserver'
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
  | 'actionlint';

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
