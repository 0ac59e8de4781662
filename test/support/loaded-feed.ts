/*
 * A leader with a feed on a real API server, a cluster of any size, and what simulated agents need to connect: for the benchmark of the feed, and
 * for the test that counts its requests.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readObject } from '../../src/cluster/objects.ts';
import { SECRETS } from '../../src/cluster/paths.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { freePorts } from '../cluster/wait.ts';
import { type ControllerProcess, startController } from './controller-process.ts';
import { manifests, RIGHTS } from './controller-stage.ts';
import { until } from './fake-clock.ts';
import { type ClusterSize, fillCluster, type WrittenWatch, watchWritten } from './loaded-cluster.ts';
import { openPolicyCluster, type PolicyCluster } from './policy-cluster.ts';
import { type SimulatedAgentsOptions, simulatedPods, tokenSigner } from './simulated-agents.ts';

export interface LoadedFeed {
  readonly cluster: PolicyCluster;
  readonly controller: ControllerProcess;
  readonly watch: WrittenWatch;
  /** One simulated agent for each pod. */
  readonly agents: SimulatedAgentsOptions;
  /** Sum of the metric lines that match. */
  readonly count: (pattern: RegExp) => Promise<number>;
  /** Resolves when nothing is queued and no request is sent for a while: a status may wait to be written. */
  readonly settle: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const SYSTEM = 'sallyport-system';
const PATIENCE_MS = 300_000;
/** Time between two looks: each costs the controller as much as a scrape. */
const LOOK_MS = 1_000;
const QUIET = 3;
/** Requests to the API server. */
export const REQUESTS: RegExp = /^rest_client_requests_total\{/;

/** Starts everything; resolves when all bundles are written. @param entry another build of the controller */
export async function startLoadedFeed(
  size: ClusterSize,
  wish: { readonly entry?: string; readonly nodeOptions?: string } = {},
): Promise<LoadedFeed> {
  const plane = await startControlPlane();
  const cluster = await openPolicyCluster(plane.kubeconfigPath);
  for (const object of manifests()) if (RIGHTS.includes(object.kind) || object.kind === 'Secret') await cluster.apply(object);
  await cluster.namespace('istio-system');
  const [port = 0] = await freePorts(1);
  const controller = await startController({
    kubeconfig: plane.kubeconfigPath,
    name: 'loaded-feed',
    namespace: SYSTEM,
    level: 'info',
    ...(wish.entry === undefined ? {} : { entry: wish.entry }),
    env: { ...environment(plane, port), ...(wish.nodeOptions === undefined ? {} : { NODE_OPTIONS: wish.nodeOptions }) },
  });
  await until(async () => (await controller.get('/readyz')).status === 200, 'readiness', PATIENCE_MS);
  const secret = await readObject(cluster.client, { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-webhook' });
  const data = (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;
  const authorities = Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
  const serverName = `sallyport.${SYSTEM}.svc`;
  const watch = await watchWritten(cluster.client);
  await fillCluster(cluster.client, size, { address: `127.0.0.1:${port}`, authorities, serverName });
  await until(() => watch.bundles.size >= size.namespaces * size.workloads, 'all bundles', PATIENCE_MS);
  const metrics = async (): Promise<string> => (await controller.get('/metrics')).text;
  return {
    cluster,
    controller,
    watch,
    agents: { pods: await simulatedPods(cluster.client), port, authorities, serverName, tokenOf: tokenSigner(plane.stateDir) },
    count: async (pattern) => sumOf(await metrics(), pattern),
    settle: async () => {
      let before = -1;
      for (let quiet = 0; quiet < QUIET; await new Promise((resolve) => setTimeout(resolve, LOOK_MS))) {
        const text = await metrics();
        const now = sumOf(text, REQUESTS);
        quiet = now === before && sumOf(text, /^workqueue_depth\{/) === 0 ? quiet + 1 : 0;
        before = now;
      }
    },
    stop: async () => {
      await watch.stop();
      await controller.stop();
      await cluster.close();
      await plane.stop();
    },
  };
}

function sumOf(metrics: string, pattern: RegExp): number {
  const lines = metrics.split('\n').filter((line) => pattern.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function environment({ stateDir }: ControlPlane, port: number): Readonly<Record<string, string>> {
  const config = join(stateDir, 'controller.yaml');
  writeFileSync(config, 'feed:\n  maxStreams: 62500\n');
  return {
    SALLYPORT_CONFIG: config,
    // So that no request is one for the lease.
    SALLYPORT_LEADER_ELECT: 'false',
    SALLYPORT_WEBHOOK: 'true',
    SALLYPORT_WEBHOOK_HOST: '127.0.0.1',
    SALLYPORT_WEBHOOK_PORT: '0',
    SALLYPORT_AGENT_IMAGE: 'example/agent:1',
    SALLYPORT_FEED_ENABLED: 'true',
    SALLYPORT_FEED_HOST: '127.0.0.1',
    SALLYPORT_FEED_PORT: String(port),
  };
}
