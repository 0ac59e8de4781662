/*
 * Controllers with a feed on a real API server, for one describe: replicas and agents as processes, tokens of the API server's own keys,
 * and volumes that are mounted only when a test wants them to.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InjectedFeed } from '../../src/api/kube/agent-contract.ts';
import { BUNDLE_TOUCH_ANNOTATION } from '../../src/api/kube/names.ts';
import { readObject } from '../../src/cluster/objects.ts';
import { SECRETS } from '../../src/cluster/paths.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { freePorts } from '../cluster/wait.ts';
import { type ControllerProcess, startController } from './controller-process.ts';
import { ACCOUNT, AP, manifests, RIGHTS } from './controller-stage.ts';
import { until } from './fake-clock.ts';
import { type FeedClient, type FeedClientOptions, openFeed, tokenOf } from './feed-client.ts';
import { type PodAgentProcess, startPodAgent } from './pod-agent-process.ts';
import { openPolicyCluster, type PolicyCluster } from './policy-cluster.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Groups of the controller's user. */
export const GROUPS: readonly string[] = ['system:serviceaccounts', 'system:serviceaccounts:sallyport-system'];
const SYSTEM = 'sallyport-system';
/** Namespace of the pods. */
export const SHOP = 'shop';
const PATIENCE_MS = 60_000;
/** Each replica serves the feed on another address, as pods do. */
const ADDRESSES: Readonly<Record<string, string>> = { one: '127.0.0.1', two: '127.0.0.2' };
const LEADER = 'leader_election_master_status{name="sallyport-controller"}';

/** A replica that is not like the others. */
export interface ReplicaWish {
  /** Another way to the API server. */
  readonly kubeconfig?: string;
  /** Another version of the controller. */
  readonly entry?: string;
}

/** What the hooks of one describe start, and functions on it. */
export interface FeedStage {
  plane: ControlPlane;
  cluster: PolicyCluster;
  /** Port of the feed of every replica. */
  port: number;
  /** What a client of the feed needs besides a token. */
  stream: Pick<FeedClientOptions, 'port' | 'authorities' | 'serverName'>;
  /** Whether the kubelet mounts what is published. */
  isMounting: boolean;
  readonly controllers: Map<string, ControllerProcess>;
  readonly agents: Map<string, PodAgentProcess>;
  readonly see: (condition: () => Promise<boolean>, what: string) => Promise<void>;
  /** Starts a replica, whose pod has the address that its feed is served on, and a token as from the kubelet. */
  readonly startReplica: (name: string, env?: Readonly<Record<string, string>>, other?: ReplicaWish) => Promise<ControllerProcess>;
  readonly stopReplica: (name: string) => Promise<void>;
  /** Waits until a replica leads. */
  readonly untilLeading: (replica: ControllerProcess) => Promise<void>;
  /** The replica that was started first of those that run. */
  readonly controller: () => ControllerProcess;
  readonly uidOf: (pod: string) => Promise<string>;
  readonly token: (pod: string) => Promise<string>;
  /** Creates a pod whose agent has the feed; its token is in a file, as from the kubelet. @param replica to connect to; absent: `one` */
  readonly createPod: (name: string, ip?: string, replica?: string) => Promise<void>;
  /** @param address where its feed connections come from; absent: 127.0.0.1 */
  readonly startAgent: (pod: string, root?: string, address?: string) => Promise<PodAgentProcess>;
  readonly touchOf: (pod: string) => Promise<string | undefined>;
  /** Status, reason and message of the condition of an AuthorizationPolicy. */
  readonly programmed: (name: string) => Promise<string>;
  /** Opens a stream; tries again, as agents do: a leader that could not renew its lease in time leads again a moment later. */
  readonly streamOf: (pod: string, from: string) => Promise<FeedClient>;
}

/** Registers the hooks of one describe. The replica `one` leads when the first test begins. @param env of that replica */
export function setUpFeed(env: Readonly<Record<string, string>> = {}): FeedStage {
  let application: Server | undefined;
  let directory = '';
  let feed: InjectedFeed | undefined;
  const see: FeedStage['see'] = (condition, what) => until(condition, what, PATIENCE_MS);
  const functions: Partial<FeedStage> = {
    isMounting: true,
    controllers: new Map(),
    agents: new Map(),
    see,
    startReplica: async (name, more = {}, { kubeconfig, entry } = {}) => {
      const host = ADDRESSES[name] ?? '127.0.0.1';
      await at.cluster.pod({ namespace: SYSTEM, name, agent: false, ip: host, serviceAccount: 'sallyport' });
      const uid = (await at.cluster.readPod(SYSTEM, name))?.metadata?.uid ?? '';
      const replicaToken = await tokenOf(at.cluster.client, { namespace: SYSTEM, account: 'sallyport', pod: { name, uid } });
      const tokenFile = join(directory, `${name}.replica-token`);
      await writeFile(tokenFile, replicaToken);
      const started = await startController({
        kubeconfig: kubeconfig ?? (await at.plane.kubeconfigAs(ACCOUNT, GROUPS)),
        name,
        namespace: SYSTEM,
        ...(entry === undefined ? {} : { entry }),
        env: {
          SALLYPORT_WEBHOOK: 'true',
          SALLYPORT_WEBHOOK_HOST: host,
          SALLYPORT_WEBHOOK_PORT: '0',
          SALLYPORT_AGENT_IMAGE: 'example/agent:1',
          SALLYPORT_FEED_ENABLED: 'true',
          SALLYPORT_FEED_HOST: host,
          SALLYPORT_FEED_PORT: String(at.port),
          SALLYPORT_FEED_TOKEN_FILE: tokenFile,
          ...env,
          ...more,
        },
      });
      at.controllers.set(name, started);
      await see(async () => (await started.get('/readyz')).status === 200, `readiness of ${name}`).catch(async (error: unknown) => {
        const checks = (await started.get('/readyz')).text;
        throw new Error(`${checks}; ${JSON.stringify(started.log.filter(({ level }) => level !== 'debug').slice(-5))}`, { cause: error });
      });
      return started;
    },
    stopReplica: async (name) => {
      await at.controllers.get(name)?.stop();
      at.controllers.delete(name);
    },
    untilLeading: (replica) => see(async () => (await replica.metric(LEADER)) === 1, `${replica.name} to lead`),
    controller: () => {
      const [first] = at.controllers.values();
      if (first === undefined) throw new Error('no controller runs');
      return first;
    },
    uidOf: async (pod) => (await at.cluster.readPod(SHOP, pod))?.metadata?.uid ?? '',
    token: async (pod) => tokenOf(at.cluster.client, { namespace: SHOP, pod: { name: pod, uid: await at.uidOf(pod) } }),
    createPod: async (name, ip = '127.0.0.1', replica = 'one') => {
      if (feed === undefined) throw new Error('the hook before has not run');
      const tokenFile = join(directory, `${name}.token`);
      await at.cluster.pod({
        namespace: SHOP,
        name,
        labels: { app: name },
        ip,
        feed: { ...feed, address: `${ADDRESSES[replica]}:${at.port}`, tokenFile },
      });
      await writeFile(tokenFile, await at.token(name));
    },
    startAgent: async (pod, root = ROOT, address) => {
      if (application === undefined) throw new Error('the hook before has not run');
      const { port } = application.address() as AddressInfo;
      const isMounting = (): boolean => at.isMounting;
      const connectFrom = address === undefined ? {} : { connectFrom: { address, feedPort: at.port } };
      const started = await startPodAgent({ cluster: at.cluster, namespace: SHOP, pod, root, appPort: port, isMounting, ...connectFrom });
      at.agents.set(pod, started);
      return started;
    },
    touchOf: async (pod) => (await at.cluster.readPod(SHOP, pod))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION],
    programmed: async (name) => {
      const found = await at.cluster.condition(AP, name, SHOP, 'Programmed');
      return `${found?.status} ${found?.reason}: ${found?.message}`;
    },
    streamOf: async (pod, from) => {
      const wish = { ...at.stream, token: await at.token(pod), from };
      let opened = await openFeed(wish);
      await see(async () => {
        if ('status' in opened) opened = await openFeed(wish);
        return !('status' in opened);
      }, `a stream of ${pod}`);
      if ('status' in opened) throw new Error(`status ${opened.status}`);
      return opened;
    },
  };
  // The hooks fill in the rest before any test reads it.
  const at = functions as FeedStage;

  before(async () => {
    at.plane = await startControlPlane();
    at.cluster = await openPolicyCluster(at.plane.kubeconfigPath);
    directory = await mkdtemp(join(tmpdir(), 'sallyport-feed-'));
    for (const object of manifests()) if (RIGHTS.includes(object.kind) || object.kind === 'Secret') await at.cluster.apply(object);
    await at.cluster.namespace(SHOP);
    await at.cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: SHOP } });
    application = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
    [at.port = 0] = await freePorts(1);
    await at.untilLeading(await at.startReplica('one'));
    const secret = await readObject(at.cluster.client, { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-webhook' });
    const data = (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;
    const authorities = Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
    const serverName = `sallyport.${SYSTEM}.svc`;
    feed = { address: `127.0.0.1:${at.port}`, authorities, serverName };
    at.stream = { port: at.port, authorities, serverName };
  });

  after(async () => {
    for (const agent of at.agents.values()) await agent.stop();
    for (const one of at.controllers.values()) await one.stop();
    // The hook before may have failed anywhere.
    const { cluster, plane } = at as Partial<FeedStage>;
    application?.close();
    await cluster?.close();
    await plane?.stop();
    if (directory !== '') await rm(directory, { recursive: true });
  });

  return at;
}
