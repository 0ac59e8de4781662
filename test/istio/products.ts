/*
 * Istio and Sallyport on one API server as their charts install them. Their processes run outside of the cluster: an EndpointSlice leads from the
 * Service of each to its process, as a node would.
 */
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binaryPath } from '../cluster/build.ts';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { type Running, startDaemon, tailOf } from '../cluster/process.ts';
import { freePorts } from '../cluster/wait.ts';
import { buildIstiod } from '../oracle/istio.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { until } from '../support/fake-clock.ts';
import { ownAddress } from '../support/key-server.ts';

const run = promisify(execFile);
const CHART = new URL('../../charts/sallyport', import.meta.url).pathname;
/** Namespace of istiod, and the root namespace of both. */
export const ISTIO_SYSTEM = 'istio-system';
/** Namespace of our controller. */
export const SYSTEM = 'sallyport-system';
/** The user of istiod. */
export const ISTIOD: string = `system:serviceaccount:${ISTIO_SYSTEM}:istiod`;
/** The user of our controller. */
export const SALLYPORT: string = `system:serviceaccount:${SYSTEM}:sallyport`;
const ACCOUNTS = 'system:serviceaccounts';

/** Runs kubectl as the administrator. @throws Error with what it printed */
export async function kubectl(plane: ControlPlane, args: readonly string[], input?: string): Promise<string> {
  const running = run(plane.kubectlPath, [`--kubeconfig=${plane.kubeconfigPath}`, ...args], { maxBuffer: 64 << 20 });
  running.child.stdin?.end(input ?? '');
  const { stdout } = await running;
  return stdout;
}

/** Runs Helm as the administrator. @throws Error with what it printed */
export function helm(plane: ControlPlane, ...args: readonly string[]): string {
  const result = spawnSync(binaryPath('helm'), [`--kubeconfig=${plane.kubeconfigPath}`, ...args], { encoding: 'utf8', timeout: 60_000 });
  if (result.status !== 0) throw new Error(`helm ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

/** Values of Istio's chart `istiod`: both data planes, and everything that istiod can write into a status. */
const ISTIOD_VALUES = ['profile=ambient', 'global.istiod.enableAnalysis=true', 'autoscaleEnabled=false'];

/** Directory of Istio's charts. */
export async function istioCharts(): Promise<{ readonly base: string; readonly istiod: string }> {
  const charts = join(await buildIstiod(), 'charts');
  return { base: join(charts, 'base'), istiod: join(charts, 'istio-control/istio-discovery') };
}

/** Installs Istio's charts as its documentation says. @param baseArgs further arguments for the chart with the CRDs */
export async function installIstio(plane: ControlPlane, ...baseArgs: readonly string[]): Promise<void> {
  const charts = await istioCharts();
  helm(plane, 'install', 'istio-base', charts.base, '--namespace', ISTIO_SYSTEM, '--create-namespace', ...baseArgs);
  await kubectl(plane, ['wait', '--for=condition=Established', '--timeout=30s', 'crd', '-l', 'app.kubernetes.io/part-of=istio']);
  helm(plane, 'install', 'istiod', charts.istiod, '--namespace', ISTIO_SYSTEM, ...ISTIOD_VALUES.flatMap((value) => ['--set', value]));
  await kubectl(plane, ['scale', 'deployment', 'istiod', '-n', ISTIO_SYSTEM, '--replicas=0']);
}

/** Uninstalls the chart of istiod; that with the CRDs and a webhook follows. */
export async function uninstallIstiod(plane: ControlPlane): Promise<void> {
  helm(plane, 'uninstall', 'istiod', '--namespace', ISTIO_SYSTEM);
  await kubectl(plane, ['delete', 'endpointslice', 'istiod-outside', '-n', ISTIO_SYSTEM, '--ignore-not-found']);
}

/** Uninstalls the chart with the CRDs, which stay. */
export function uninstallIstioBase(plane: ControlPlane): void {
  helm(plane, 'uninstall', 'istio-base', '--namespace', ISTIO_SYSTEM);
}

/** A running istiod. */
export interface Istiod {
  /** Policies that it serves to proxies, each as `kind/namespace/name`, sorted. */
  readonly served: () => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

/** The environment that a Deployment gives its container, without what comes from elsewhere. */
async function environmentOf(plane: ControlPlane, namespace: string, name: string): Promise<Readonly<Record<string, string>>> {
  const deployment = JSON.parse(await kubectl(plane, ['get', 'deployment', name, '-n', namespace, '-o', 'json'])) as {
    readonly spec: {
      readonly template: {
        readonly spec: { readonly containers: readonly [{ readonly env?: readonly { readonly name: string; readonly value?: string }[] }] };
      };
    };
  };
  const { env = [] } = deployment.spec.template.spec.containers[0];
  return Object.fromEntries(env.flatMap(({ name: variable, value }) => (value === undefined ? [] : [[variable, value]])));
}

/** Starts the istiod of the installed chart, with the environment that its Deployment gives it, and waits until it is ready and trusted. */
export async function startIstiod(plane: ControlPlane): Promise<Istiod> {
  const [http = 0, https = 0, secure = 0, monitoring = 0, grpc = 0, ctrlz = 0] = await freePorts(6);
  const daemon = startDaemon(
    {
      name: 'istiod',
      file: join(await buildIstiod(), 'pilot-discovery'),
      args: [
        'discovery',
        `--kubeconfig=${await plane.kubeconfigAs(ISTIOD, [ACCOUNTS, `${ACCOUNTS}:${ISTIO_SYSTEM}`])}`,
        `--httpAddr=127.0.0.1:${http}`,
        `--httpsAddr=:${https}`,
        `--grpcAddr=127.0.0.1:${grpc}`,
        `--secureGRPCAddr=127.0.0.1:${secure}`,
        `--monitoringAddr=127.0.0.1:${monitoring}`,
        `--ctrlz_port=${ctrlz}`,
        '--shutdownDuration=1s',
      ],
      env: {
        ...(await environmentOf(plane, ISTIO_SYSTEM, 'istiod')),
        KUBECONFIG: '',
        POD_NAME: 'istiod-outside',
        POD_NAMESPACE: ISTIO_SYSTEM,
        SERVICE_ACCOUNT: 'istiod',
      },
    },
    plane.stateDir,
    false,
  );
  await leadTo(plane, { namespace: ISTIO_SYSTEM, service: 'istiod', port: 'https-webhook', number: https });
  await until(
    async () => {
      if (daemon.exited()) throw new Error(`istiod ended:\n${tailOf(daemon.logPath)}`);
      return (await isOk(`http://127.0.0.1:${http}/ready`)) && (await isTrusted(plane, 'istio-sidecar-injector'));
    },
    'istiod to be ready',
    60_000,
  );
  return { served: () => servedBy(`http://127.0.0.1:${http}`), stop: () => endDaemon(daemon) };
}

async function servedBy(url: string): Promise<readonly string[]> {
  const response = await fetch(`${url}/debug/configz`, { headers: { connection: 'close' } });
  const configs = (await response.json()) as readonly {
    readonly kind: string;
    readonly metadata: { readonly namespace: string; readonly name: string };
  }[];
  return configs
    .filter(({ kind }) => kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication')
    .map(({ kind, metadata }) => `${kind}/${metadata.namespace}/${metadata.name}`)
    .toSorted();
}

async function endDaemon(daemon: Running): Promise<void> {
  if (!daemon.exited()) process.kill(daemon.pid, 'SIGTERM');
  await until(() => daemon.exited(), 'istiod to end', 30_000);
}

async function isOk(url: string): Promise<boolean> {
  return fetch(url, { headers: { connection: 'close' } }).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
}

async function isTrusted(plane: ControlPlane, configuration: string): Promise<boolean> {
  const bundles = ['get', 'mutatingwebhookconfiguration', configuration, '-o', 'jsonpath={.webhooks[*].clientConfig.caBundle}'];
  return (await kubectl(plane, bundles)) !== '';
}

/** Leads a port of a Service to a port of this machine. */
async function leadTo(
  plane: ControlPlane,
  {
    namespace,
    service,
    port,
    number,
  }: { readonly namespace: string; readonly service: string; readonly port: string; readonly number: number },
): Promise<void> {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-outside`, namespace, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: port, port: number, protocol: 'TCP' }],
    endpoints: [{ addresses: [ownAddress()], conditions: { ready: true } }],
  };
  await kubectl(plane, ['apply', '-f', '-'], JSON.stringify(slice));
}

const OUR_VALUES = ['replicaCount=0', 'image.registry=example', 'webhook.injection.failurePolicy=Fail'];

function ourArgs(values: readonly string[]): readonly string[] {
  return ['--namespace', SYSTEM, ...[...OUR_VALUES, ...values].flatMap((value) => ['--set', value])];
}

/** Installs our chart. @param args further arguments @param values settings as `name=value` */
export function installSallyport(plane: ControlPlane, args: readonly string[], ...values: readonly string[]): void {
  helm(plane, 'install', 'sallyport', CHART, '--create-namespace', ...args, ...ourArgs(values));
}

/** Changes settings of the installed chart, and starts its controller again. @param values settings as `name=value` */
export async function upgradeSallyport(
  at: { readonly plane: ControlPlane; sallyport: ControllerProcess | undefined },
  ...values: readonly string[]
): Promise<void> {
  helm(at.plane, 'upgrade', 'sallyport', CHART, ...ourArgs(values));
  await at.sallyport?.stop();
  at.sallyport = await startSallyport(at.plane);
}

let replicas = 0;

/** Starts the controller of the installed chart, with the configuration that the chart gives it, and waits until it leads and is trusted. */
export async function startSallyport(plane: ControlPlane, name = 'sallyport'): Promise<ControllerProcess> {
  const [port = 0] = await freePorts(1);
  const file = join(plane.stateDir, 'sallyport.yaml');
  writeFileSync(file, await kubectl(plane, ['get', 'configmap', name, '-n', SYSTEM, '-o', String.raw`jsonpath={.data.config\.yaml}`]));
  replicas += 1;
  const controller = await startController({
    kubeconfig: await plane.kubeconfigAs(`system:serviceaccount:${SYSTEM}:${name}`, [ACCOUNTS, `${ACCOUNTS}:${SYSTEM}`]),
    name: `replica-${replicas}`,
    namespace: SYSTEM,
    env: { ...(await environmentOf(plane, SYSTEM, name)), SALLYPORT_CONFIG: file, SALLYPORT_WEBHOOK_PORT: String(port) },
  });
  await leadTo(plane, { namespace: SYSTEM, service: name, port: 'webhook', number: port });
  await until(
    async () => (await controller.get('/readyz')).status === 200 && (await isTrusted(plane, `${name}-injection`)),
    'the controller to be ready',
    60_000,
  );
  return controller;
}
