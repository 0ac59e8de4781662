/*
 * The feed on a real API server: controllers and agents as processes, tokens of the API server's own keys, and volumes that are mounted
 * only when a test wants them to.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { InjectedFeed } from '../../src/api/kube/agent-contract.ts';
import { BUNDLE_TOUCH_ANNOTATION } from '../../src/api/kube/names.ts';
import { readObject } from '../../src/cluster/objects.ts';
import { SECRETS } from '../../src/cluster/paths.ts';
import { UP } from '../../src/feed/protocol.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { freePorts } from '../cluster/wait.ts';
import { type ControllerProcess, startController } from '../support/controller-process.ts';
import { ACCOUNT, AP, manifests, RIGHTS } from '../support/controller-stage.ts';
import { until } from '../support/fake-clock.ts';
import { type FeedClient, openFeed, tokenOf, untilClosed } from '../support/feed-client.ts';
import { type PodAgentProcess, startPodAgent } from '../support/pod-agent-process.ts';
import { openPolicyCluster, type PolicyCluster } from '../support/policy-cluster.ts';

const ROOT = join(import.meta.dirname, '../..');
const SYSTEM = 'sallyport-system';
const SHOP = 'shop';
const SERVER_NAME = `sallyport.${SYSTEM}.svc`;
const PATIENCE_MS = 60_000;
const ADDRESSES: Readonly<Record<string, string>> = { one: '127.0.0.1', two: '127.0.0.2' };

const denyPath = (path: string): object => ({ action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] });

describe('the feed on a real API server', function () {
  this.timeout(300_000);
  let plane: ControlPlane;
  let cluster: PolicyCluster;
  let application: Server;
  let directory: string;
  let feed: InjectedFeed;
  let feedPort = 0;
  let isMounting = true;
  const controllers = new Map<string, ControllerProcess>();
  const agents = new Map<string, PodAgentProcess>();

  const see = (condition: () => Promise<boolean>, what: string): Promise<void> => until(condition, what, PATIENCE_MS);
  /** Starts a replica, whose pod has the address that its feed is served on. */
  const startReplica = async (name: string, env: Readonly<Record<string, string>> = {}): Promise<ControllerProcess> => {
    const host = ADDRESSES[name] ?? '127.0.0.1';
    await cluster.pod({ namespace: SYSTEM, name, agent: false, ip: host });
    const started = await startController({
      kubeconfig: await plane.kubeconfigAs(ACCOUNT, ['system:serviceaccounts', `system:serviceaccounts:${SYSTEM}`]),
      name,
      namespace: SYSTEM,
      env: {
        SALLYPORT_WEBHOOK: 'true',
        SALLYPORT_WEBHOOK_HOST: host,
        SALLYPORT_WEBHOOK_PORT: '0',
        SALLYPORT_AGENT_IMAGE: 'example/agent:1',
        SALLYPORT_FEED_ENABLED: 'true',
        SALLYPORT_FEED_HOST: host,
        SALLYPORT_FEED_PORT: String(feedPort),
        ...env,
      },
    });
    controllers.set(name, started);
    await see(async () => (await started.get('/readyz')).status === 200, `readiness of ${name}`);
    return started;
  };
  const controller = (): ControllerProcess => {
    const [first] = controllers.values();
    if (first === undefined) throw new Error('no controller runs');
    return first;
  };
  const uidOf = async (pod: string): Promise<string> => (await cluster.readPod(SHOP, pod))?.metadata?.uid ?? '';
  const token = async (pod: string): Promise<string> =>
    tokenOf(cluster.client, { namespace: SHOP, pod: { name: pod, uid: await uidOf(pod) } });
  /** Creates a pod whose agent has the feed; its token is in a file, as from the kubelet. */
  const createPod = async (name: string, ip = '127.0.0.1'): Promise<void> => {
    const tokenFile = join(directory, `${name}.token`);
    await cluster.pod({ namespace: SHOP, name, labels: { app: name }, ip, feed: { ...feed, tokenFile } });
    await writeFile(tokenFile, await token(name));
  };
  const startAgent = async (pod: string): Promise<PodAgentProcess> => {
    const { port } = application.address() as AddressInfo;
    const started = await startPodAgent({ cluster, namespace: SHOP, pod, root: ROOT, appPort: port, isMounting: () => isMounting });
    agents.set(pod, started);
    return started;
  };
  const touchOf = async (pod: string): Promise<string | undefined> =>
    (await cluster.readPod(SHOP, pod))?.metadata?.annotations?.[BUNDLE_TOUCH_ANNOTATION];
  const programmed = async (name: string): Promise<string> => {
    const found = await cluster.condition(AP, name, SHOP, 'Programmed');
    return `${found?.status} ${found?.reason}: ${found?.message}`;
  };
  const streams = async (): Promise<number | undefined> => controller().metric('sallyport_feed_streams');
  const stream = { port: 0, authorities: '', serverName: SERVER_NAME };

  /** Tries again, as agents do: a leader that could not renew its lease in time leads again a moment later. */
  const streamOf = async (pod: string, from: string): Promise<FeedClient> => {
    const wish = { ...stream, token: await token(pod), from };
    let opened = await openFeed(wish);
    await see(async () => {
      if ('status' in opened) opened = await openFeed(wish);
      return !('status' in opened);
    }, `a stream of ${pod}`);
    if ('status' in opened) throw new Error(`status ${opened.status}`);
    return opened;
  };

  before(async () => {
    plane = await startControlPlane();
    cluster = await openPolicyCluster(plane.kubeconfigPath);
    directory = await mkdtemp(join(tmpdir(), 'sallyport-feed-'));
    for (const object of manifests()) if (RIGHTS.includes(object.kind) || object.kind === 'Secret') await cluster.apply(object);
    await cluster.namespace(SHOP);
    await cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: SHOP } });
    application = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
    [feedPort = 0] = await freePorts(1);
    await startReplica('one');
    await see(async () => (await controller().metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'leadership');
    const secret = await readObject(cluster.client, { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-webhook' });
    const data = (secret?.['data'] ?? {}) as Readonly<Record<string, string>>;
    const authorities = Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
    feed = { address: `127.0.0.1:${feedPort}`, authorities, serverName: SERVER_NAME };
    Object.assign(stream, { port: feedPort, authorities });
  });

  after(async () => {
    for (const agent of agents.values()) await agent.stop();
    for (const one of controllers.values()) await one.stop();
    // The hook before may have failed anywhere.
    (application as Server | undefined)?.close();
    await (cluster as PolicyCluster | undefined)?.close();
    await (plane as ControlPlane | undefined)?.stop();
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  it('brings an edit to an agent without a patch of its pod, and says so in Programmed', async () => {
    await createPod('web');
    await cluster.policy(AP, 'edited', SHOP, { selector: { matchLabels: { app: 'web' } }, ...denyPath('/first') });
    const agent = await startAgent('web');
    await see(async () => (await agent.get('/first')) === 403, 'the first bundle');
    await see(async () => (await streams()) === 1, 'the stream');
    await see(async () => (await programmed('edited')) === 'True Programmed: Enforced by 1 of 1 agents', 'Programmed');
    isMounting = false;
    const touched = await touchOf('web');
    await cluster.policy(AP, 'edited', SHOP, { selector: { matchLabels: { app: 'web' } }, ...denyPath('/second') });
    await see(async () => (await agent.get('/second')) === 403, 'the edit');
    expect(await agent.get('/first')).to.equal(200);
    await see(async () => {
      const found = await cluster.condition(AP, 'edited', SHOP, 'Programmed');
      return found?.status === 'True' && found.observedGeneration === 2;
    }, 'Programmed of generation 2');
    expect(await touchOf('web')).to.equal(touched);
  });

  it('says that a policy is not programmed until the last agent enforces it, and names the missing one', async () => {
    isMounting = true;
    await createPod('late');
    await cluster.policy(AP, 'both', SHOP, denyPath('/both'));
    await see(
      async () => (await programmed('both')) === 'False Pending: Enforced by 1 of 2 agents. Not connected: shop/late',
      'Programmed to name the missing agent',
    );
    await startAgent('late');
    await see(async () => (await programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
  });

  it('refuses tokens of other audiences, without a pod, of another pod and of a deleted one', async () => {
    await createPod('gone');
    const bound = { name: 'gone', uid: await uidOf('gone') };
    const reasonOf = async (wish: Parameters<typeof openFeed>[0]): Promise<string> => {
      const opened = await openFeed(wish);
      return 'status' in opened ? `${opened.status} ${String(opened.headers['sallyport-reason'])}` : 'open';
    };
    const good = await tokenOf(cluster.client, { namespace: SHOP, pod: bound });
    const foreign = await tokenOf(cluster.client, { namespace: SHOP, pod: bound, audience: 'https://kubernetes.default.svc' });
    const unbound = await tokenOf(cluster.client, { namespace: SHOP });
    expect(await reasonOf({ ...stream, token: foreign })).to.equal('401 token');
    expect(await reasonOf({ ...stream, token: unbound })).to.equal('401 token');
    expect(await reasonOf({ ...stream, token: `${good.slice(0, -4)}AAAA` })).to.equal('401 token');
    expect(await reasonOf({ ...stream, token: good, from: '127.0.0.9' })).to.equal('403 address');
    expect(await reasonOf({ ...stream, token: good })).to.equal('open');
    await cluster.deletePod(SHOP, 'gone');
    await see(async () => (await reasonOf({ ...stream, token: good })) === '403 pod', 'the token to be worthless');
  });

  it('lets an agent that lies misreport its own pod only', async () => {
    await createPod('liar', '127.0.0.7');
    await cluster.policy(AP, 'both', SHOP, denyPath('/changed'));
    await see(async () => (await programmed('both')).includes('Not connected: shop/liar'), 'the missing agent');
    const opened = await streamOf('liar', '127.0.0.7');
    opened.send(UP.report, { digest: `sha256:${'0'.repeat(64)}`, number: 0, received: 0 });
    await see(
      async () => (await programmed('both')) === 'False Pending: Enforced by 2 of 3 agents. Not yet enforced by: shop/liar',
      'the lie',
    );
    opened.send(UP.report, { digest: '', number: 0, received: 0, pod: 'shop/web' });
    await untilClosed(opened);
    expect(await controller().metric('sallyport_feed_closed_total{reason="garbage"}')).to.equal(1);
    await cluster.deletePod(SHOP, 'liar');
    await see(async () => (await programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
  });

  it('sends agents to the leader, also when that changes', async () => {
    isMounting = false;
    const two = await startReplica('two');
    const reply = await openFeed({ ...stream, host: '127.0.0.2', token: await token('web') });
    expect('status' in reply && [reply.status, reply.headers.location]).to.deep.equal([307, `https://127.0.0.1:${feedPort}/feed`]);
    await controllers.get('one')?.stop();
    controllers.delete('one');
    await see(async () => (await two.metric('leader_election_master_status{name="sallyport-controller"}')) === 1, 'the next leader');
    await startReplica('one');
    await see(async () => (await two.metric('sallyport_feed_streams')) === 2, 'both agents at the next leader');
    // The next leader may have patched pods whose agents took longer than the grace period.
    const before = await touchOf('web');
    await cluster.policy(AP, 'both', SHOP, denyPath('/again'));
    await see(async () => (await agents.get('web')?.get('/again')) === 403, 'the edit');
    expect(await touchOf('web')).to.equal(before);
  });

  it('falls back to the volume when there is no feed, and then patches pods again', async () => {
    const before = await touchOf('web');
    for (const one of controllers.values()) await one.stop();
    controllers.clear();
    await startReplica('one', { SALLYPORT_FEED_ENABLED: 'false' });
    await cluster.policy(AP, 'both', SHOP, denyPath('/fallback'));
    await see(async () => (await touchOf('web')) !== before, 'the annotation');
    isMounting = true;
    await see(async () => (await agents.get('web')?.get('/fallback')) === 403, 'the edit through the volume');
    await see(async () => (await cluster.condition(AP, 'both', SHOP, 'Programmed')) === undefined, 'the condition to go');
  });
});
