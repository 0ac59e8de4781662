/*
 * The feed on a real API server: who gets a stream, what it brings, and what becomes of it when the leader changes or is gone.
 */
import { expect } from 'chai';
import { UP } from '../../src/feed/protocol.ts';
import { AP } from '../support/controller-stage.ts';
import { openFeed, tokenOf, untilClosed } from '../support/feed-client.ts';
import { SHOP, setUpFeed } from '../support/feed-stage.ts';

const denyPath = (path: string): object => ({ action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] });

describe('the feed on a real API server', function () {
  this.timeout(300_000);
  const at = setUpFeed();
  const streams = async (): Promise<number | undefined> => at.controller().metric('sallyport_feed_streams');

  it('brings an edit to an agent without a patch of its pod, and says so in Programmed', async () => {
    await at.createPod('web');
    await at.cluster.policy(AP, 'edited', SHOP, { selector: { matchLabels: { app: 'web' } }, ...denyPath('/first') });
    const agent = await at.startAgent('web');
    await at.see(async () => (await agent.get('/first')) === 403, 'the first bundle');
    await at.see(async () => (await streams()) === 1, 'the stream');
    await at.see(async () => (await at.programmed('edited')) === 'True Programmed: Enforced by 1 of 1 agents', 'Programmed');
    at.isMounting = false;
    const touched = await at.touchOf('web');
    await at.cluster.policy(AP, 'edited', SHOP, { selector: { matchLabels: { app: 'web' } }, ...denyPath('/second') });
    await at.see(async () => (await agent.get('/second')) === 403, 'the edit');
    expect(await agent.get('/first')).to.equal(200);
    await at.see(async () => {
      const found = await at.cluster.condition(AP, 'edited', SHOP, 'Programmed');
      return found?.status === 'True' && found.observedGeneration === 2;
    }, 'Programmed of generation 2');
    expect(await at.touchOf('web')).to.equal(touched);
  });

  it('says that a policy is not programmed until the last agent enforces it, and names the missing one', async () => {
    at.isMounting = true;
    await at.createPod('late');
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/both'));
    await at.see(
      async () => (await at.programmed('both')) === 'False Pending: Enforced by 1 of 2 agents. Not connected: shop/late',
      'Programmed to name the missing agent',
    );
    await at.startAgent('late');
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
  });

  it('refuses tokens of other audiences, without a pod, of another pod and of a deleted one', async () => {
    await at.createPod('gone');
    const bound = { name: 'gone', uid: await at.uidOf('gone') };
    const reasonOf = async (wish: Parameters<typeof openFeed>[0]): Promise<string> => {
      const opened = await openFeed(wish);
      return 'status' in opened ? `${opened.status} ${String(opened.headers['sallyport-reason'])}` : 'open';
    };
    const good = await tokenOf(at.cluster.client, { namespace: SHOP, pod: bound });
    const foreign = await tokenOf(at.cluster.client, { namespace: SHOP, pod: bound, audience: 'https://kubernetes.default.svc' });
    const unbound = await tokenOf(at.cluster.client, { namespace: SHOP });
    expect(await reasonOf({ ...at.stream, token: foreign })).to.equal('401 token');
    expect(await reasonOf({ ...at.stream, token: unbound })).to.equal('401 token');
    expect(await reasonOf({ ...at.stream, token: `${good.slice(0, -4)}AAAA` })).to.equal('401 token');
    expect(await reasonOf({ ...at.stream, token: good, from: '127.0.0.9' })).to.equal('403 address');
    expect(await reasonOf({ ...at.stream, token: good })).to.equal('open');
    await at.cluster.deletePod(SHOP, 'gone');
    await at.see(async () => (await reasonOf({ ...at.stream, token: good })) === '403 pod', 'the token to be worthless');
  });

  it('lets an agent that lies misreport its own pod only', async () => {
    await at.createPod('liar', '127.0.0.7');
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/changed'));
    await at.see(async () => (await at.programmed('both')).includes('Not connected: shop/liar'), 'the missing agent');
    const opened = await at.streamOf('liar', '127.0.0.7');
    opened.send(UP.report, { digest: `sha256:${'0'.repeat(64)}`, number: 0, received: 0 });
    await at.see(
      async () => (await at.programmed('both')) === 'False Pending: Enforced by 2 of 3 agents. Not yet enforced by: shop/liar',
      'the lie',
    );
    opened.send(UP.report, { digest: '', number: 0, received: 0, pod: 'shop/web' });
    await untilClosed(opened);
    expect(await at.controller().metric('sallyport_feed_closed_total{reason="garbage"}')).to.equal(1);
    await at.cluster.deletePod(SHOP, 'liar');
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
  });

  it('counts neither of two agents of one pod while they differ, and names the pod in the condition, an event and a metric', async () => {
    const second = await at.streamOf('web', '127.0.0.1');
    second.send(UP.report, { digest: `sha256:${'0'.repeat(64)}`, number: 0, received: 0 });
    // When the agent reports next.
    await at.see(
      async () => (await at.programmed('both')) === 'False TwoStreams: Enforced by 1 of 2 agents. Two streams that differ: shop/web',
      'the condition',
    );
    expect(await at.controller().metric('sallyport_feed_doubled_pods')).to.equal(1);
    const isNoticed = ({ reason, regarding }: Readonly<Record<string, unknown>>): boolean =>
      reason === 'TwoStreams' && (regarding as { readonly name?: string }).name === 'web';
    await at.see(async () => (await at.cluster.events(SHOP)).some(isNoticed), 'the event');
    second.close();
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    expect(await at.controller().metric('sallyport_feed_doubled_pods')).to.equal(0);
  });

  it('sends agents to the leader when it cannot relay for them, also when the leader changes', async () => {
    at.isMounting = false;
    const withoutToken = { SALLYPORT_FEED_TOKEN_FILE: '' };
    const two = await at.startReplica('two', withoutToken);
    const reply = await openFeed({ ...at.stream, host: '127.0.0.2', token: await at.token('web') });
    expect('status' in reply && [reply.status, reply.headers.location]).to.deep.equal([307, `https://127.0.0.1:${at.port}/feed`]);
    await at.stopReplica('one');
    await at.untilLeading(two);
    await at.startReplica('one', withoutToken);
    await at.see(async () => (await two.metric('sallyport_feed_streams')) === 2, 'both agents at the next leader');
    // The next leader may have patched pods whose agents took longer than the grace period.
    const before = await at.touchOf('web');
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/again'));
    await at.see(async () => (await at.agents.get('web')?.get('/again')) === 403, 'the edit');
    expect(await at.touchOf('web')).to.equal(before);
  });

  it('falls back to the volume when there is no feed, and then patches pods again', async () => {
    const before = await at.touchOf('web');
    for (const one of at.controllers.values()) await one.stop();
    at.controllers.clear();
    await at.startReplica('one', { SALLYPORT_FEED_ENABLED: 'false' });
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/fallback'));
    await at.see(async () => (await at.touchOf('web')) !== before, 'the annotation');
    at.isMounting = true;
    await at.see(async () => (await at.agents.get('web')?.get('/fallback')) === 403, 'the edit through the volume');
    await at.see(async () => (await at.cluster.condition(AP, 'both', SHOP, 'Programmed')) === undefined, 'the condition to go');
  });
});
