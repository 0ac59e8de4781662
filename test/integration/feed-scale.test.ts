/*
 * Three hundred agents on the feed of one leader, on a real API server: `test/bench/feed.ts` measures more of them, and time.
 */
import { expect } from 'chai';
import { until } from '../support/fake-clock.ts';
import { allKeys, keyOfWorkload, meshSpec, namespaceOf, workloadSpec, writePolicy } from '../support/loaded-cluster.ts';
import { type LoadedFeed, startLoadedFeed } from '../support/loaded-feed.ts';
import { connectSimulatedAgents, type SimulatedAgents } from '../support/simulated-agents.ts';

const SIZE = { namespaces: 10, workloads: 10, pods: 3 };
const AGENTS = 300;
const PATIENCE_MS = 120_000;
const READS = /^rest_client_requests_total\{.*method="GET"/;
const WRITES = /^rest_client_requests_total\{.*method="(?!GET)/;
const TOUCHES = /^sallyport_pod_touch_total\{/;

describe('the feed with three hundred agents', function () {
  this.timeout(300_000);
  let at: LoadedFeed;
  let simulated: SimulatedAgents | undefined;
  let brought = 0;
  const digests = (): ReadonlySet<string> => new Set(simulated?.agents.map(({ digest }) => digest));

  before(async () => {
    at = await startLoadedFeed(SIZE);
    await at.settle();
    simulated = connectSimulatedAgents({ ...at.agents, onBundle: () => void (brought += 1) });
    await simulated.untilConnected();
    await until(() => brought === AGENTS, 'the bundles of all agents', PATIENCE_MS);
    await at.settle();
  });
  after(async () => {
    simulated?.stop();
    await at?.stop();
  });

  it('brings an edit of a root policy once to each agent, in parts, and touches no pod', async () => {
    const touches = await at.count(TOUCHES);
    const [bytes, bundles, before] = [simulated?.bundleBytes() ?? 0, brought, digests()];
    await at.watch.edit(allKeys(SIZE), () =>
      writePolicy(at.cluster.client, { namespace: 'istio-system', name: 'mesh' }, meshSpec('edited')),
    );
    await until(() => brought === bundles + AGENTS, 'the edit at all agents', PATIENCE_MS);
    expect([...digests()].some((digest) => before.has(digest))).to.equal(false);
    const { length } = JSON.stringify(workloadSpec(0, 'first'));
    expect((simulated?.bundleBytes() ?? 0) - bytes, 'without the policy of each workload').to.be.below(AGENTS * (2 * length + 2_000));
    await at.settle();
    expect([brought - bundles, await at.count(TOUCHES)]).to.deep.equal([AGENTS, touches]);
  });

  it('serves all of them again when they connect at the same time, without a request for each, or a bundle', async () => {
    const [reads, writes, touches, bundles] = [await at.count(READS), await at.count(WRITES), await at.count(TOUCHES), brought];
    simulated?.dropAll();
    await until(() => simulated?.connected() === 0, 'the end of the streams');
    await simulated?.untilConnected();
    await until(async () => (await at.count(/^sallyport_feed_streams /)) === AGENTS, 'all streams', PATIENCE_MS);
    await at.settle();
    expect([(await at.count(TOUCHES)) - touches, brought - bundles]).to.deep.equal([0, 0]);
    // Statuses change if agents need longer than their last word counts; keys and certificates are read from time to time.
    expect((await at.count(WRITES)) - writes).to.be.below(AGENTS / 10);
    expect((await at.count(READS)) - reads).to.be.below(AGENTS / 10);
    await at.watch.edit([keyOfWorkload(SIZE, 0)], () =>
      writePolicy(at.cluster.client, { namespace: namespaceOf(SIZE, 0), name: 'w0' }, workloadSpec(0, 'edited')),
    );
    await until(() => brought === bundles + SIZE.pods, 'the edit at the agents of the workload', PATIENCE_MS);
  });
});
