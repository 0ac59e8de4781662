/*
 * A controller on a real API server for one describe, with exactly the permissions that the manifests grant, and a namespace
 * for each test.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import type { WrittenObject } from '../../src/cluster/kube-object.ts';
import { refusedRequests } from '../cluster/audit.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from './controller-process.ts';
import { until } from './fake-clock.ts';
import { type KeyServer, ownAddress, startKeyServer } from './key-server.ts';
import { openPolicyCluster, type PolicyCluster } from './policy-cluster.ts';

const PATIENCE_MS = 45_000;
const SYSTEM = 'sallyport-system';
/** The user that the controller authenticates as. */
export const ACCOUNT: string = `system:serviceaccount:${SYSTEM}:sallyport`;
/** One kind of policy. */
export const RA = 'RequestAuthentication';
/** The other kind of policy. */
export const AP = 'AuthorizationPolicy';
/** The manifests that grant permissions; the others need a cluster that runs pods. */
export const RIGHTS: readonly string[] = ['Namespace', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
const ROOT = join(import.meta.dirname, '../..');
/** A policy that denies GET requests. */
export const DENY_GET: { readonly action: string; readonly rules: readonly object[] } = {
  action: 'DENY',
  rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
};

/** Everything that one `kubectl apply` installs, without the CRDs. @param root absent: of the present version */
export function manifests(root: string = ROOT): readonly WrittenObject[] {
  return parseAllDocuments(readFileSync(join(root, 'manifests/install.yaml'), 'utf8')).map((document) => document.toJS() as WrittenObject);
}

/** What the hooks of one describe start, and functions on it. The functions read from the namespace of the running test. */
interface Stage {
  controlPlane: ControlPlane;
  cluster: PolicyCluster;
  keys: KeyServer;
  /** The leader. A test that stops it puts its successor here. */
  controller: ControllerProcess;
  /** Namespace of the running test. */
  ns: string;
  /** Starts another replica. */
  readonly start: (name: string, env?: Readonly<Record<string, string>>) => Promise<ControllerProcess>;
  readonly stop: (one: ControllerProcess) => Promise<{ readonly code: number | null; readonly tookMs: number }>;
  /** Waits until the condition holds. */
  readonly see: (condition: () => Promise<boolean>, what: string) => Promise<void>;
  /** Resource version of the bundle of a workload, `httpbin` when absent. */
  readonly version: (workload?: string) => Promise<string | undefined>;
  /** Names of the policies with rules in the bundle of a workload, `httpbin` when absent. */
  readonly rulesOf: (workload?: string) => Promise<readonly string[] | undefined>;
  /** Key ids in the bundle of `httpbin`. */
  readonly kidsOf: () => Promise<readonly (string | undefined)[]>;
  readonly readyReason: (kind: typeof RA | typeof AP, name: string) => Promise<string | undefined>;
  /** Creates the pod `httpbin` with an agent and waits for its bundle. */
  readonly guardedPod: () => Promise<void>;
}

/**
 * Registers the hooks of one describe. At the end they fail when the API server denied a request.
 * @param restarts the API server is started again, and denies requests until it has read its roles
 */
export function setUp({ restarts = false }: { readonly restarts?: boolean } = {}): Stage {
  const running = new Set<ControllerProcess>();
  let spaces = 0;

  const stop: Stage['stop'] = async (one) => {
    running.delete(one);
    return one.stop();
  };
  const see: Stage['see'] = (condition, what) => until(condition, what, PATIENCE_MS);
  const version: Stage['version'] = async (workload = 'httpbin') =>
    (await at.cluster.configMap(at.ns, `sallyport-bundle-pod.${workload}.0`))?.metadata?.resourceVersion;
  const functions = {
    start: async (name, env = {}) => {
      const started = await startController({
        kubeconfig: await at.controlPlane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
        name,
        namespace: SYSTEM,
        env: { SALLYPORT_JWKS_REFRESH: '1s', ...env },
      });
      running.add(started);
      return started;
    },
    stop,
    see,
    version,
    rulesOf: async (workload = 'httpbin') => {
      const bundle = await at.cluster.bundle(at.ns, workload);
      return bundle?.programs.flatMap(({ http }) => [...http.deny.rules, ...http.allow.rules].map((rule) => rule.source.name));
    },
    kidsOf: async () => {
      const bundle = await at.cluster.bundle(at.ns, 'httpbin');
      return Object.values(bundle?.keySets ?? {}).flatMap((keySet) => keySet.keys.map((key) => key['kid']));
    },
    readyReason: async (kind, name) => (await at.cluster.condition(kind, name, at.ns, 'Ready'))?.reason,
    guardedPod: async () => {
      await at.cluster.pod({ namespace: at.ns, name: 'httpbin', labels: { app: 'httpbin' } });
      await see(async () => (await version()) !== undefined, 'the bundle');
    },
  } satisfies Partial<Stage>;
  // The hooks fill in the rest before any test reads it.
  const at = functions as Partial<Stage> as Stage;

  before(async () => {
    at.controlPlane = await startControlPlane({ audit: true });
    at.cluster = await openPolicyCluster(at.controlPlane.kubeconfigPath);
    for (const object of manifests()) if (RIGHTS.includes(object.kind)) await at.cluster.apply(object);
    at.keys = await startKeyServer(ownAddress());
    at.controller = await at.start('one');
    await see(async () => (await at.controller.get('/readyz')).status === 200, 'readiness');
    await see(async () => (await at.controller.metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'leadership');
  });

  beforeEach(async () => {
    spaces += 1;
    at.ns = `test-${spaces}`;
    await at.cluster.namespace(at.ns);
  });

  after(async () => {
    const { controlPlane, cluster, keys } = at as Partial<Stage>;
    try {
      if (controlPlane !== undefined && !restarts) expect(await refusedRequests(controlPlane.auditLogPath ?? '')).to.deep.equal([]);
    } finally {
      await Promise.all([...running].map(stop));
      await keys?.stop();
      await cluster?.close();
      await controlPlane?.stop();
    }
  });

  return at;
}
