/*
 * A cluster that is restored from a backup: a real snapshot of etcd, restored by etcdutl, under a controller that runs and under one that
 * starts later; and the objects of a cluster in another one. Agents never take anything older than they had, and take what comes next.
 */
import { expect } from 'chai';
import { slotName } from '../../src/api/kube/workload.ts';
import { peekStatement } from '../../src/bundle/statement.ts';
import { formatTrustAnchor, parseTrustAnchor } from '../../src/bundle/trust-anchor.ts';
import type { RawObject, WrittenObject } from '../../src/cluster/kube-object.ts';
import { deleteObject, readObject } from '../../src/cluster/objects.ts';
import { LEASES, objectPath, SECRETS } from '../../src/cluster/paths.ts';
import { AP, DENY_GET, setUp } from '../support/controller-stage.ts';
import { restoreSnapshot, saveSnapshot } from '../support/etcd-backup.ts';
import { type MountedAgent, mountAgent } from '../support/mounted-agent.ts';
import { trustOf } from '../support/policy-cluster.ts';

type Stage = ReturnType<typeof setUp>;
const SYSTEM = 'sallyport-system';
const SLOT = slotName({ kind: 'pod', name: 'httpbin' }, 0);
const LEASE = { resource: LEASES, namespace: SYSTEM, name: 'sallyport-controller' };
const SECRET = { resource: SECRETS, namespace: SYSTEM, name: 'sallyport-signing-keys' };

async function agentOf(at: Stage): Promise<MountedAgent> {
  const { anchor } = await trustOf(at.cluster.client);
  return mountAgent(at.cluster.configMap, { namespace: at.ns, kind: 'pod', name: 'httpbin' }, anchor);
}

async function untilEnforced(at: Stage, agent: MountedAgent, ...names: readonly string[]): Promise<void> {
  await at.see(async () => {
    await agent.sync();
    return agent.rules()?.toSorted().join() === names.toSorted().join();
  }, `the agent to enforce ${names.join()}`);
}

/** Number of the published bundle. */
async function numberOf(at: Stage): Promise<number> {
  const data = (await at.cluster.configMap(at.ns, SLOT))?.['data'] as Readonly<Record<string, string>> | undefined;
  return peekStatement(data?.['statement.jws'] ?? '')?.number ?? 0;
}

describe('a cluster that is restored from a snapshot of etcd', function () {
  this.timeout(240_000);
  const at = setUp({ restarts: true });
  const isServing = (): Promise<unknown> => at.cluster.client.request({ method: 'GET', path: `/api/v1/namespaces/${at.ns}` });

  it('is followed by agents that have newer bundles, when the controller starts after the restore', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await at.cluster.policy(AP, 'one', at.ns, DENY_GET);
    await untilEnforced(at, agent, 'one');
    await at.stop(at.controller);
    // A lease that was renewed an hour before the restore.
    const renewTime = new Date(Date.now() - 3_600_000).toISOString().replace('Z', '000Z');
    await at.cluster.client.request({
      method: 'PATCH',
      path: objectPath(LEASE),
      body: { spec: { renewTime } },
      contentType: 'application/merge-patch+json',
    });
    const snapshot = await saveSnapshot(at.controlPlane);
    const before = await numberOf(at);

    at.controller = await at.start('between');
    await at.cluster.policy(AP, 'two', at.ns, DENY_GET);
    await untilEnforced(at, agent, 'one', 'two');
    const newest = await numberOf(at);
    await at.controller.kill();
    await restoreSnapshot(at.controlPlane, snapshot, isServing);
    expect(await numberOf(at)).to.equal(before);
    await agent.sync();
    await agent.restart();
    expect(agent.rules()?.toSorted(), 'what the agent had last').to.deep.equal(['one', 'two']);

    const startedMs = Date.now();
    at.controller = await at.start('restored');
    await untilEnforced(at, agent, 'one');
    // The wall clock, because nothing in the cluster knows the number that agents have.
    expect(await numberOf(at))
      .to.be.greaterThan(newest)
      .and.to.be.at.least(startedMs);
    await at.cluster.policy(AP, 'three', at.ns, DENY_GET);
    await untilEnforced(at, agent, 'one', 'three');
    await agent.close();
  });

  it('is followed by agents that have newer bundles, under a controller that runs all the time', async () => {
    await at.guardedPod();
    const agent = await agentOf(at);
    await at.cluster.policy(AP, 'one', at.ns, DENY_GET);
    await untilEnforced(at, agent, 'one');
    const snapshot = await saveSnapshot(at.controlPlane);
    for (const name of ['two', 'three', 'four']) {
      await at.cluster.policy(AP, name, at.ns, DENY_GET);
      await at.see(async () => (await at.rulesOf())?.includes(name) === true, name);
    }
    await untilEnforced(at, agent, 'one', 'two', 'three', 'four');
    const newest = await numberOf(at);
    await restoreSnapshot(at.controlPlane, snapshot, isServing);
    await agent.sync();
    expect(agent.rules(), 'what the agent had last').to.have.length(4);

    await untilEnforced(at, agent, 'one');
    expect(await numberOf(at)).to.be.greaterThan(newest);
    await at.cluster.policy(AP, 'five', at.ns, DENY_GET);
    await untilEnforced(at, agent, 'one', 'five');
    await agent.close();
  });
});

describe('objects of a cluster that are restored into another one', function () {
  this.timeout(240_000);
  const from = setUp();
  const to = setUp();

  it('are refused by agents and reported, until the controller has signed them for this cluster', async () => {
    expect(to.ns).to.equal(from.ns);
    await from.guardedPod();
    await from.cluster.policy(AP, 'one', from.ns, DENY_GET);
    await from.see(async () => (await from.rulesOf())?.join() === 'one', 'the bundle of the first cluster');
    const secret = await readObject(from.cluster.client, SECRET);
    const backup = [secret, await from.cluster.configMap(from.ns, SLOT), await from.cluster.readPod(from.ns, 'httpbin')];
    const { cluster } = parseTrustAnchor((await trustOf(to.cluster.client)).anchor);
    const { roots } = parseTrustAnchor((await trustOf(from.cluster.client)).anchor);

    await to.stop(to.controller);
    await deleteObject(to.cluster.client, SECRET);
    for (const object of backup) await to.cluster.apply(withoutOrigin(object));
    await to.cluster.policy(AP, 'one', to.ns, DENY_GET);
    // As the webhook of this cluster injects it once the controller runs.
    const agent = await mountAgent(
      to.cluster.configMap,
      { namespace: to.ns, kind: 'pod', name: 'httpbin' },
      formatTrustAnchor({ cluster, roots }),
    );
    expect([agent.rules(), agent.refused]).to.deep.equal([undefined, ['SP_BUNDLE_FOREIGN']]);

    to.controller = await to.start('restored');
    const enforced = async (): Promise<string> => (await to.cluster.condition(AP, 'one', to.ns, 'Enforced'))?.message ?? '';
    await to.see(
      async () => (await enforced()).includes('SALLYPORT_TRUST_ANCHOR is of another cluster; replace the pod'),
      'the restored pod',
    );
    expect((await trustOf(to.cluster.client)).anchor, 'the root key of the backup').to.equal(formatTrustAnchor({ cluster, roots }));

    await to.cluster.deletePod(to.ns, 'httpbin');
    await to.cluster.pod({ namespace: to.ns, name: 'httpbin', labels: { app: 'httpbin' } });
    await untilEnforced(to, agent, 'one');
    await to.see(async () => (await enforced()) === 'Enforced on 1 of 1 selected workloads', 'the replaced pod');
    await agent.close();
  });
});

/** An object as a backup restores it: without what the API server adds. */
function withoutOrigin(object: RawObject | undefined): WrittenObject {
  const { name = '', namespace = '', labels = {}, annotations = {} } = object?.metadata ?? {};
  const { status: _status, ...rest } = object ?? {};
  const kind = object?.kind ?? '';
  return { ...rest, apiVersion: 'v1', kind, metadata: { name, namespace, labels, annotations } };
}
