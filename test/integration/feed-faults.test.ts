/*
 * The feed when writes get lost, leaders are killed, etcd is restored from a backup, and versions differ: agents get bundles before they are
 * written, never anything older, and are programmed only once it is written.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { slotName } from '../../src/api/kube/workload.ts';
import { peekStatement } from '../../src/bundle/statement.ts';
import { startWriteProxy, type WriteProxy } from '../support/api-proxy.ts';
import { ACCOUNT, AP, RA } from '../support/controller-stage.ts';
import { type EarlierVersion, earlierVersion } from '../support/earlier-version.ts';
import { restoreSnapshot, saveSnapshot } from '../support/etcd-backup.ts';
import { type FeedStage, GROUPS, SHOP, setUpFeed } from '../support/feed-stage.ts';
import { freshJwks, json, type KeyServer, ownAddress, startKeyServer } from '../support/key-server.ts';
import type { PodAgentProcess } from '../support/pod-agent-process.ts';
import { segment } from '../unit/jwt/tokens.ts';

/** The first version with the feed, whose controllers read nothing but reports. */
const EARLIER = '6ec2979eb033e6c6a0b2a80c7d24ea7f640833cd';
const DENIED = 403;
const ALLOWED = 200;

const denyPath = (path: string): object => ({
  selector: { matchLabels: { app: 'web' } },
  action: 'DENY',
  rules: [{ to: [{ operation: { paths: [path] } }] }],
});
const edit = (at: FeedStage, path: string): Promise<unknown> => at.cluster.policy(AP, 'edited', SHOP, denyPath(path));
const untilDenied = (at: FeedStage, agent: PodAgentProcess, path: string): Promise<void> =>
  at.see(async () => (await agent.get(path)) === DENIED, `the agent to deny ${path}`);
/** Number of the published bundle. */
const numberOf = async (at: FeedStage): Promise<number> => {
  const map = await at.cluster.configMap(SHOP, slotName({ kind: 'pod', name: 'web' }, 0));
  const data = map?.['data'] as Readonly<Record<string, string>> | undefined;
  return peekStatement(data?.['statement.jws'] ?? '')?.number ?? 0;
};
/** An agent that has a first bundle from the volume, and gets others over the feed only. */
const start = async (at: FeedStage): Promise<PodAgentProcess> => {
  await at.createPod('web');
  await edit(at, '/first');
  at.isMounting = true;
  const agent = await at.startAgent('web');
  await untilDenied(at, agent, '/first');
  await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
  at.isMounting = false;
  return agent;
};
const refusals = (agent: PodAgentProcess): readonly string[] => agent.log.filter((line) => line.includes('bundle rejected'));

describe('the feed, when writes of its leader get lost', function () {
  this.timeout(300_000);
  const at = setUpFeed();
  let proxy: WriteProxy;
  let agent: PodAgentProcess;

  before(async () => {
    proxy = await startWriteProxy({ admin: at.plane.kubeconfigPath, user: ACCOUNT, groups: GROUPS });
    await at.stopReplica('one');
    await at.untilLeading(await at.startReplica('one', {}, { kubeconfig: proxy.kubeconfig }));
    agent = await start(at);
  });
  after(() => proxy?.stop());
  const killLeader = async (): Promise<void> => {
    await at.controller().kill();
    at.controllers.clear();
  };

  const untilProgrammed = (): Promise<void> =>
    at.see(async () => (await at.programmed('edited')) === 'True Programmed: Enforced by 1 of 1 agents', 'Programmed');

  it('brings a bundle before it is written, and what the next leader writes when this one is killed meanwhile', async () => {
    await untilProgrammed();
    const before = await numberOf(at);
    proxy.setMode('hold');
    await edit(at, '/second');
    await untilDenied(at, agent, '/second');
    await at.see(async () => proxy.lost() > 0, 'the write');
    await at.see(async () => (await at.cluster.condition(AP, 'edited', SHOP, 'Ready'))?.reason === 'Publishing', 'the status');
    await at.see(
      async () => (await at.programmed('edited')) === 'False Pending: Enforced by 0 of 1 agents. Not yet enforced by: shop/web',
      'Programmed to wait for the write',
    );
    expect([await agent.get('/first'), await numberOf(at)]).to.deep.equal([ALLOWED, before]);
    await killLeader();
    await at.untilLeading(await at.startReplica('one'));
    await untilProgrammed();
    expect([await agent.get('/first'), await agent.get('/second')]).to.deep.equal([ALLOWED, DENIED]);
    expect(await numberOf(at)).to.be.above(before);
    expect(refusals(agent)).to.deep.equal([]);
  });

  it('takes back, under a higher number, what it brought and the next leader has no policy for', async () => {
    await killLeader();
    proxy.setMode('forward');
    await at.untilLeading(await at.startReplica('one', {}, { kubeconfig: proxy.kubeconfig }));
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
    const [before, lost] = [await numberOf(at), proxy.lost()];
    proxy.setMode('hold');
    await edit(at, '/never-written');
    await untilDenied(at, agent, '/never-written');
    await at.see(async () => proxy.lost() > lost, 'the write');
    await killLeader();
    // What is published is right again, but the agent has something newer.
    await edit(at, '/second');
    await at.untilLeading(await at.startReplica('one'));
    await untilDenied(at, agent, '/second');
    expect(await agent.get('/never-written')).to.equal(ALLOWED);
    await untilProgrammed();
    expect(await numberOf(at)).to.be.above(before);
    expect(refusals(agent)).to.deep.equal([]);
  });

  it('gives a pod that starts before the write the newest bundle, whatever its volume has', async () => {
    await killLeader();
    proxy.setMode('forward');
    await at.untilLeading(await at.startReplica('one', {}, { kubeconfig: proxy.kubeconfig }));
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
    proxy.setMode('hold');
    await edit(at, '/ahead');
    await untilDenied(at, agent, '/ahead');
    await agent.stop();
    at.isMounting = true;
    agent = await at.startAgent('web');
    await untilDenied(at, agent, '/ahead');
    expect(await agent.get('/second')).to.equal(ALLOWED);
    at.isMounting = false;
    proxy.setMode('forward');
    await untilProgrammed();
    expect(refusals(agent)).to.deep.equal([]);
  });

  it('brings what was written although the leader did not learn of it, from the next leader', async () => {
    await killLeader();
    proxy.setMode('forward');
    await at.untilLeading(await at.startReplica('one', {}, { kubeconfig: proxy.kubeconfig }));
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
    const [before, lost] = [await numberOf(at), proxy.lost()];
    proxy.setMode('mute');
    await edit(at, '/third');
    await at.see(async () => proxy.lost() > lost, 'the write');
    await at.see(async () => (await numberOf(at)) > before, 'the bundle');
    await killLeader();
    const written = await numberOf(at);
    await at.untilLeading(await at.startReplica('one'));
    await untilDenied(at, agent, '/third');
    expect(await numberOf(at), 'what the next leader relays').to.equal(written);
    expect(refusals(agent)).to.deep.equal([]);
  });
});

describe('the feed of a cluster that is restored from a snapshot of etcd', function () {
  this.timeout(300_000);
  const at = setUpFeed();

  for (const [what, isRunning] of [
    ['under a controller that runs all the time', true],
    ['when the controller starts after the restore', false],
  ] as const) {
    it(`brings newer bundles than agents had, ${what}`, async () => {
      const agent = at.agents.get('web') ?? (await start(at));
      await edit(at, '/kept');
      await untilDenied(at, agent, '/kept');
      const snapshot = await saveSnapshot(at.plane);
      for (const path of ['/lost-1', '/lost-2']) {
        await edit(at, path);
        await untilDenied(at, agent, path);
      }
      const newest = await numberOf(at);
      if (!isRunning) await at.stopReplica('one');
      await restoreSnapshot(at.plane, snapshot, () => at.cluster.client.request({ method: 'GET', path: `/api/v1/namespaces/${SHOP}` }));
      expect(await agent.get('/lost-2'), 'what the agent had last').to.equal(DENIED);
      if (!isRunning) await at.startReplica('one');
      await untilDenied(at, agent, '/kept');
      // Agents have it before it is written.
      await at.see(async () => (await numberOf(at)) > newest, 'a newer bundle than the agent had');
      await edit(at, '/after');
      await untilDenied(at, agent, '/after');
      await at.see(async () => (await at.programmed('edited')) === 'True Programmed: Enforced by 1 of 1 agents', 'Programmed');
      expect(refusals(agent)).to.deep.equal([]);
    });
  }
});

describe('the feed between versions', function () {
  this.timeout(300_000);
  const at = setUpFeed();
  let earlier: EarlierVersion | undefined;
  let keys: KeyServer;
  before(async function () {
    earlier = earlierVersion(EARLIER);
    if (earlier === undefined && process.env['CI'] === 'true') throw new Error(`the history lacks ${EARLIER}: fetch all of it`);
    if (earlier === undefined) {
      process.stderr.write(`SKIPPED: the feed between versions, because the history lacks ${EARLIER}\n`);
      this.skip();
    }
    keys = await startKeyServer(ownAddress());
    keys.answer('/keys', json(freshJwks('known')));
    await at.createPod('web');
    await at.cluster.policy(RA, 'jwt', SHOP, { jwtRules: [{ issuer: 'me', jwksUri: `${keys.origin}/keys` }] });
    await edit(at, '/first');
  });
  after(async () => {
    await keys?.stop();
    earlier?.remove();
  });
  const unknown = `${segment({ alg: 'ES256', kid: 'unknown' })}.${segment({ iss: 'me' })}.${Buffer.alloc(64).toString('base64url')}`;
  /** Edits reach the agent over its stream, also after a token with an unknown key. */
  const untilServed = async (agent: PodAgentProcess, path: string): Promise<void> => {
    await untilDenied(at, agent, '/first');
    await at.see(async () => (await at.controller().metric('sallyport_feed_streams')) === 1, 'the stream');
    at.isMounting = false;
    const closed = async (): Promise<number> => (await at.controller().metric('sallyport_feed_closed_total{reason="garbage"}')) ?? 0;
    expect(await agent.get('/', unknown)).to.equal(401);
    await edit(at, path);
    await untilDenied(at, agent, path);
    await at.see(async () => (await at.programmed('edited')) === 'True Programmed: Enforced by 1 of 1 agents', 'Programmed');
    expect(await closed()).to.equal(0);
    await edit(at, '/first');
    await untilDenied(at, agent, '/first');
    at.isMounting = true;
  };

  it('serves agents of the version before', async () => {
    await untilServed(await at.startAgent('web', earlier?.root), '/earlier-agent');
    await at.agents.get('web')?.stop();
    at.agents.clear();
  });

  it('serves agents of this version from a controller of the version before', async () => {
    await at.stopReplica('one');
    await at.untilLeading(await at.startReplica('one', {}, { entry: join(earlier?.root ?? '', 'src/main/controller.ts') }));
    await untilServed(await at.startAgent('web'), '/earlier-controller');
  });

  it('serves all agents while replicas of both versions run, whichever leads', async () => {
    const entry = join(earlier?.root ?? '', 'src/main/controller.ts');
    const bothEnforce = async (path: string): Promise<void> => {
      await at.cluster.policy(AP, 'all', SHOP, { action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] });
      for (const name of ['web', 'far']) await at.see(async () => (await at.agents.get(name)?.get(path)) === 403, `${path} at ${name}`);
      await at.see(async () => (await at.programmed('all')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    };
    at.isMounting = false;
    const two = await at.startReplica('two');
    await at.createPod('far', '127.0.0.1', 'two');
    at.isMounting = true;
    await at.startAgent('far');
    at.isMounting = false;
    await bothEnforce('/earlier-leader');
    expect(await two.metric('sallyport_feed_relaying')).to.equal(0);
    await at.stopReplica('one');
    await at.untilLeading(two);
    await at.startReplica('one', {}, { entry });
    await at.see(async () => (await two.metric('sallyport_feed_streams')) === 2, 'both streams');
    await bothEnforce('/later-leader');
    at.isMounting = true;
  });
});
