/*
 * Identities by the addresses of pods on a real API server, with a controller and an agent as processes: clients connect from loopback
 * addresses, which pods have one after the other.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { AP } from '../support/controller-stage.ts';
import { SHOP, setUpFeed } from '../support/feed-stage.ts';
import type { PodAgentProcess } from '../support/pod-agent-process.ts';

const [FRIEND_IP, OTHER_IP, STRANGER_IP] = ['127.0.0.21', '127.0.0.22', '127.0.0.23'];

describe('identities by the addresses of pods, on a real API server', function () {
  this.timeout(300_000);
  let directory = '';
  let file = '';
  const at = setUpFeed();
  let agent: PodAgentProcess;

  /** Status of a request from an address, on a new connection. */
  const get = (from: string): Promise<number> =>
    new Promise((resolve) => {
      const sent = request({ host: '127.0.0.1', port: agent.port, path: '/', localAddress: from, agent: false }, (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0));
      });
      sent.once('error', () => resolve(0));
      sent.end();
    });
  const see = (from: string, status: number, what: string): Promise<void> => at.see(async () => (await get(from)) === status, what);
  const account = (name: string): Promise<unknown> =>
    at.cluster.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: SHOP } });
  const client = (name: string, ip: string, serviceAccount: string): Promise<unknown> =>
    at.cluster.pod({ namespace: SHOP, name, agent: false, ip, serviceAccount });
  const end = (name: string): Promise<void> => at.cluster.deletePod(SHOP, name);

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-identity-'));
    file = join(directory, 'config.yaml');
    await writeFile(file, JSON.stringify({ mesh: { peerIdentity: { podIP: true } } }));
    await at.stopReplica('one');
    await at.untilLeading(await at.startReplica('one', { SALLYPORT_CONFIG: file }));
    for (const name of ['friend', 'other']) await account(name);
    await at.createPod('web');
    await at.cluster.policy(AP, 'friends', SHOP, {
      selector: { matchLabels: { app: 'web' } },
      action: 'ALLOW',
      rules: [{ from: [{ source: { serviceAccounts: ['friend'] } }] }],
    });
    agent = await at.startAgent('web');
    await client('friend', FRIEND_IP, 'friend');
    await client('other', OTHER_IP, 'other');
  });
  after(async () => {
    if (directory !== '') await rm(directory, { recursive: true });
  });

  it('let the right pods in, and say in the log who they were', async () => {
    await see(FRIEND_IP, 200, 'the friend to be known');
    expect([await get(OTHER_IP), await get(STRANGER_IP)]).to.deep.equal([403, 403]);
    const logged = (address: string): readonly string[] =>
      agent.log
        .filter((line) => line.includes('"component":"access"') && line.includes(`"client.address":"${address}"`))
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
        .map((line) => `${String(line['decision'])} ${String(line['source.identity'])} ${String(line['source.principal'])}`);
    await at.see(async () => logged(FRIEND_IP).includes('allow pod-ip spiffe://cluster.local/ns/shop/sa/friend'), 'the line of the friend');
    await at.see(async () => logged(OTHER_IP).includes('deny pod-ip spiffe://cluster.local/ns/shop/sa/other'), 'the line of the other');
    await at.see(async () => logged(STRANGER_IP).includes('deny none undefined'), 'the line of the stranger');
    expect(await at.controller().metric('sallyport_feed_identity_streams')).to.equal(1);
  });

  it('follow an address from one pod to another, and give it to neither while both have it', async () => {
    await client('second', FRIEND_IP, 'other');
    await see(FRIEND_IP, 403, 'the shared address to be unknown');
    await end('friend');
    await end('second');
    await client('third', OTHER_IP, 'friend');
    await end('other');
    await see(OTHER_IP, 200, 'the new pod to be known');
    expect(await get(FRIEND_IP)).to.equal(403);
  });

  it('are unknown soon after the controller has gone, and known again when it is back', async () => {
    expect(await get(OTHER_IP)).to.equal(200);
    await at.stopReplica('one');
    await see(OTHER_IP, 403, 'the table to be too old');
    await at.untilLeading(await at.startReplica('one', { SALLYPORT_CONFIG: file }));
    await see(OTHER_IP, 200, 'the table to be back');
  });
});
