/*
 * Two replicas with a feed on a real API server: agents hold their streams to either, and count the same.
 */
import { expect } from 'chai';
import { PARTS, TAKES_HEADER, UP } from '../../src/feed/protocol.ts';
import { REPLICA } from '../../src/feed/relay-frames.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { AP } from '../support/controller-stage.ts';
import { type FeedClientOptions, openFeed, openStream, untilClosed } from '../support/feed-client.ts';
import { SHOP, setUpFeed } from '../support/feed-stage.ts';

const denyPath = (path: string): object => ({ action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] });

describe('the feed with two replicas', function () {
  this.timeout(300_000);
  const at = setUpFeed();
  let two: ControllerProcess;
  const closed = async (replica: ControllerProcess): Promise<number> =>
    [...(await replica.get('/metrics')).text.matchAll(/^sallyport_feed_closed_total.* (\d+)$/gm)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    );
  const touches = async (): Promise<readonly unknown[]> => [await at.touchOf('near'), await at.touchOf('far')];

  it('serves agents at a replica that does not lead, and counts them', async () => {
    two = await at.startReplica('two');
    await at.see(async () => (await two.metric('sallyport_feed_relaying')) === 1, 'the connection to the leader');
    await at.createPod('near', '127.0.0.1', 'one');
    await at.createPod('far', '127.0.0.1', 'two');
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/first'));
    for (const pod of ['near', 'far']) await at.startAgent(pod);
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    expect([
      await two.metric('sallyport_feed_streams'),
      await at.controller().metric('sallyport_feed_streams'),
      await at.controller().metric('sallyport_feed_relayed_streams'),
    ]).to.deep.equal([1, 1, 1]);
  });

  it('brings edits to both without a patch of either pod', async () => {
    at.isMounting = false;
    const before = await touches();
    for (const path of ['/second', '/third']) {
      await at.cluster.policy(AP, 'both', SHOP, denyPath(path));
      for (const pod of ['near', 'far']) await at.see(async () => (await at.agents.get(pod)?.get(path)) === 403, `the edit at ${pod}`);
    }
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    expect(await touches()).to.deep.equal(before);
  });

  it('gives the stream of a replica to no pod but the controller, and none at a replica that does not lead', async () => {
    const wish: FeedClientOptions = { ...at.stream, token: await at.token('far'), headers: { [TAKES_HEADER]: `${REPLICA}, ${PARTS}` } };
    for (const [host, expected] of [
      ['127.0.0.1', [403, 'pod']],
      ['127.0.0.2', [307, 'not-leading']],
    ] as const) {
      const reply = await openFeed({ ...wish, host });
      expect('status' in reply && [reply.status, reply.headers['sallyport-reason']], host).to.deep.equal(expected);
    }
  });

  it('lets an agent that lies at either replica misreport its own pod only', async () => {
    await at.createPod('liar', '127.0.0.7', 'two');
    const liar = await openStream({ ...at.stream, host: '127.0.0.2', token: await at.token('liar'), from: '127.0.0.7' });
    liar.send(UP.report, { digest: `sha256:${'0'.repeat(64)}`, number: 0, received: 0 });
    await at.see(
      async () => (await at.programmed('both')) === 'False Pending: Enforced by 2 of 3 agents. Not yet enforced by: shop/liar',
      'the lie',
    );
    liar.send(UP.report, { digest: '', number: 0, received: 0, pod: 'shop/near' });
    await untilClosed(liar);
    await at.cluster.deletePod(SHOP, 'liar');
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    expect(await two.metric('sallyport_feed_relaying')).to.equal(1);
  });

  it('notices two agents of one pod that hold their streams to different replicas', async () => {
    const second = await openStream({ ...at.stream, token: await at.token('far') });
    second.send(UP.report, { digest: `sha256:${'0'.repeat(64)}`, number: 0, received: 0 });
    await at.see(
      async () => (await at.programmed('both')) === 'False TwoStreams: Enforced by 1 of 2 agents. Two streams that differ: shop/far',
      'the condition',
    );
    second.close();
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
  });

  it('keeps the streams of the next leader when the leader ends', async () => {
    const before = [await closed(two), await at.touchOf('far')];
    await at.stopReplica('one');
    await at.untilLeading(two);
    await at.startReplica('one');
    await at.cluster.policy(AP, 'both', SHOP, denyPath('/fourth'));
    await at.see(async () => (await at.agents.get('far')?.get('/fourth')) === 403, 'the edit over the stream that stayed');
    await at.see(async () => (await at.agents.get('near')?.get('/fourth')) === 403, 'the edit over the new stream');
    await at.see(async () => (await at.programmed('both')) === 'True Programmed: Enforced by 2 of 2 agents', 'Programmed');
    // The other pod is annotated if its agent takes longer than 15 s to connect again.
    expect([await closed(two), await at.touchOf('far')]).to.deep.equal(before);
  });
});
