/*
 * A tenant on a real API server: the chart installed by Helm, the controller with its own rights, and a user with Kubernetes' own
 * role `edit` in one namespace.
 */
import { spawnSync } from 'node:child_process';
import { binaryPath } from '../cluster/build.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ControllerProcess, startController } from './controller-process.ts';
import { until } from './fake-clock.ts';
import { AGENT_IMAGE, injected, TRUST } from './guarded-pods.ts';
import { openPolicyCluster, type PolicyCluster, trustOf } from './policy-cluster.ts';

/** Namespace of the controller. */
export const SYSTEM = 'sallyport-system';
/** Namespace of the tenant. */
export const SHOP = 'shop';
/** The controller's user. */
export const ACCOUNT: string = `system:serviceaccount:${SYSTEM}:sallyport`;

/** Who sends a request. */
export type Who = 'admin' | 'tenant' | 'operator' | 'token';

/** What a command did. */
export interface Outcome {
  readonly isDone: boolean;
  /** Output and errors. */
  readonly text: string;
}

/** What the hooks of one describe start, and functions on it. */
export interface TenantStage {
  plane: ControlPlane;
  cluster: PolicyCluster;
  controller: ControllerProcess;
  /**
   * Runs kubectl. `tenant` has `edit` in one namespace; `operator` may do everything, but is not in `system:masters`; `token` is the
   * controller's ServiceAccount by a real token.
   */
  readonly kubectl: (who: Who, args: readonly string[], object?: object) => Outcome;
  readonly see: (condition: () => Promise<boolean>, what: string) => Promise<void>;
  /** Changes one value of the chart. */
  readonly upgrade: (setting: string) => void;
  /** Stops the controller and uninstalls the release. */
  readonly uninstall: () => Promise<void>;
  /** Installs the release again and starts the controller. */
  readonly install: () => Promise<void>;
}

const PATIENCE_MS = 30_000;

/** A pod with an agent. */
export function guardedPod(name: string, spec: object = {}, annotations: Readonly<Record<string, string>> = {}): object {
  return injected(barePod(name, spec, annotations));
}

/** A pod without an agent. */
export function barePod(name: string, spec: object = {}, annotations: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: SHOP, name, labels: { app: name }, annotations },
    spec: {
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'app:1', ports: [{ containerPort: 8080 }] }],
      ...spec,
    },
  };
}

/** Registers the hooks of one describe. */
export function setUpTenant(): TenantStage {
  const kubeconfigs = new Map<Who, string>();
  /** Objects are written before the keys exist; the anchor of tests stands for that of the installation. */
  let trust = TRUST;
  const stage = {
    kubectl: (who, args, object) => {
      const credentials = [`--kubeconfig=${kubeconfigs.get(who) ?? ''}`];
      const result = spawnSync(stage.plane.kubectlPath, [...credentials, ...args], {
        encoding: 'utf8',
        timeout: PATIENCE_MS,
        ...(object === undefined
          ? {}
          : { input: JSON.stringify(object).replaceAll(JSON.stringify(TRUST.anchor), JSON.stringify(trust.anchor)) }),
      });
      return { isDone: result.status === 0, text: `${result.stdout}${result.stderr}`.trim() };
    },
    see: (condition, what) => until(condition, what, PATIENCE_MS),
    upgrade: (setting) => runHelm(stage, 'upgrade', setting),
    uninstall: async () => {
      await stage.controller.stop();
      runHelm(stage, 'uninstall');
    },
    install: async () => {
      runHelm(stage, 'install');
      await startTheController(stage);
    },
  } as TenantStage;

  before(async function () {
    this.timeout(180_000);
    stage.plane = await startControlPlane({ controllerManager: 'service-accounts' });
    stage.cluster = await openPolicyCluster(stage.plane.kubeconfigPath);
    kubeconfigs.set('admin', stage.plane.kubeconfigPath);
    kubeconfigs.set('tenant', await stage.plane.kubeconfigAs('alice', ['developers']));
    kubeconfigs.set('operator', await stage.plane.kubeconfigAs('olga', ['operators']));
    for (const name of [SHOP, 'istio-system']) await stage.cluster.namespace(name);
    must(stage.kubectl('admin', ['create', 'rolebinding', 'alice', '-n', SHOP, '--clusterrole=edit', '--user=alice']));
    must(stage.kubectl('admin', ['create', 'clusterrolebinding', 'olga', '--clusterrole=cluster-admin', '--user=olga']));
    runHelm(stage, 'install');
    // kubectl reads an object before it patches it; the controller does not.
    must(stage.kubectl('admin', ['create', 'clusterrole', 'read-pods', '--verb=get', '--resource=pods']));
    must(
      stage.kubectl('admin', ['create', 'clusterrolebinding', 'token', '--clusterrole=read-pods', `--serviceaccount=${SYSTEM}:sallyport`]),
    );
    kubeconfigs.set('token', tokenKubeconfig(stage));
    await startTheController(stage);
    await stage.see(async () => {
      trust = await trustOf(stage.cluster.client);
      return trust !== TRUST;
    }, 'the signing keys');
    await untilRestricted(stage);
  });

  after(async () => {
    await stage.controller?.stop();
    await stage.cluster?.close();
    await stage.plane?.stop();
  });
  return stage;
}

async function startTheController(stage: TenantStage): Promise<void> {
  stage.controller = await startController({
    kubeconfig: await stage.plane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
    name: 'controller',
    namespace: SYSTEM,
    env: { SALLYPORT_AGENT_IMAGE: AGENT_IMAGE },
  });
}

/** Values for an API server without nodes: it cannot reach a pod, so the webhooks are off; pods are injected before they are created. */
export const VALUES_WITHOUT_NODES: readonly string[] = [
  'agent.image.repository=example/agent',
  'agent.initImage.repository=example/redirect',
  'image.registry=',
  'replicaCount=0',
  'webhook.injection.enabled=false',
  'webhook.validation.enabled=false',
];

function runHelm(stage: TenantStage, command: 'install' | 'upgrade' | 'uninstall', ...values: readonly string[]): void {
  const chart = new URL('../../charts/sallyport', import.meta.url).pathname;
  const result = spawnSync(
    binaryPath('helm'),
    [
      `--kubeconfig=${stage.plane.kubeconfigPath}`,
      command,
      'sallyport',
      ...(command === 'uninstall' ? [] : [chart]),
      '--namespace',
      SYSTEM,
      ...(command === 'install' ? ['--create-namespace'] : []),
      ...(command === 'uninstall' ? [] : [...VALUES_WITHOUT_NODES, ...values].flatMap((setting) => ['--set', setting])),
    ],
    { encoding: 'utf8' },
  );
  if (result.status !== 0) throw new Error(result.stderr);
}

/** A kubeconfig with a token of the controller's ServiceAccount, as a client would use that copied it from the pod. */
function tokenKubeconfig(stage: TenantStage): string {
  const path = `${stage.plane.stateDir}/token.kubeconfig`;
  const token = must(stage.kubectl('admin', ['create', 'token', 'sallyport', '-n', SYSTEM])).text;
  const config = (...args: readonly string[]): string[] => [`--kubeconfig=${path}`, 'config', ...args];
  for (const args of [
    config('set-cluster', 'c', `--server=${stage.plane.url}`, `--certificate-authority=${stage.plane.caPath}`),
    config('set-credentials', 'u', `--token=${token}`),
    config('set-context', 'x', '--cluster=c', '--user=u'),
    config('use-context', 'x'),
  ]) {
    const { status, stderr } = spawnSync(stage.plane.kubectlPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
  return path;
}

/** The API server compiles new admission policies in the background. */
async function untilRestricted(stage: TenantStage): Promise<void> {
  const isRefused = (who: Who, ...args: readonly string[]): boolean => /ValidatingAdmissionPolicy/.test(stage.kubectl(who, args).text);
  const dry = ['--dry-run=server', '-n', SHOP];
  await stage.see(
    () => Promise.resolve(isRefused('tenant', 'create', 'configmap', 'sallyport-bundle-probe', ...dry)),
    'the policy of bundles',
  );
  await stage.see(() => Promise.resolve(isRefused('token', 'create', 'configmap', 'probe', ...dry)), 'the policy of the controller');
  must(stage.kubectl('tenant', ['create', '-f', '-'], guardedPod('probe')));
  await stage.see(
    () => Promise.resolve(isRefused('tenant', 'annotate', 'pod', 'probe', 'sallyport.dev/agent-', ...dry)),
    'the policy of agents',
  );
  await stage.see(() => Promise.resolve(isRefused('token', 'label', 'pod', 'probe', 'a=b', ...dry)), 'the policy of the controller');
  await stage.see(
    () => Promise.resolve(isRefused('tenant', 'exec', 'probe', '-n', SHOP, '-c', 'sallyport-agent', '--', 'true')),
    'the policy of connections',
  );
  must(stage.kubectl('tenant', ['delete', 'pod', 'probe', '-n', SHOP, '--now']));
}

/** The outcome, unless the command failed. */
export function must(outcome: Outcome): Outcome {
  if (!outcome.isDone) throw new Error(outcome.text);
  return outcome;
}
